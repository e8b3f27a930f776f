import { describe, expect, it } from 'vitest'
import { inlineFile, treeArtifacts } from '../../src/content/tree.ts'
import { digestOf } from '../../src/core/digest.ts'
import { bundleBytes, combine, inlineTree, layoutOf, treeSample } from '../bundle/samples.ts'

/** The format, byte for byte: a change here is a new format version. */
const sample = combine(
  treeSample(
    'offline-deploy',
    { 'offline-deploy/run': Buffer.from('#!/bin/sh\n') },
    { named: ['offline-deploy/run'], kind: 'runtime' },
  ),
  inlineTree('lock', { 'lock.json': '{}\n' }),
)

describe('bundle format 1', () => {
  it('has these entries', () => {
    expect(
      layoutOf(sample).entries.map(e => [e.headerOffset, e.type, e.mode.toString(8), e.size, e.path]),
    ).toMatchInlineSnapshot(`
      [
        [
          0,
          "file",
          "644",
          30,
          "oci-layout",
        ],
        [
          1024,
          "file",
          "644",
          873,
          "index.json",
        ],
        [
          2560,
          "file",
          "644",
          599,
          "airgap.json",
        ],
        [
          4096,
          "file",
          "644",
          488,
          "blobs/sha256/387c7aa1218cd8f76a9524e589f0227734a6fea039d1b395f878e5d7f9051d09",
        ],
        [
          5120,
          "file",
          "644",
          2,
          "blobs/sha256/44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        ],
        [
          6144,
          "file",
          "644",
          532,
          "blobs/sha256/4b85c124d712c5215757e5190cfb0ae310fcebc044938d0ce822de3929b77186",
        ],
        [
          7680,
          "file",
          "644",
          3,
          "blobs/sha256/ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356",
        ],
        [
          8704,
          "file",
          "755",
          10,
          "offline-deploy/run",
        ],
        [
          9728,
          "link",
          "755",
          0,
          "blobs/sha256/a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf",
        ],
      ]
    `)
  })

  it('has this index and front table', async () => {
    const bytes = await bundleBytes(sample)
    const [, index, table] = layoutOf(sample).entries
    expect(bytes.toString('utf8', index!.dataOffset, index!.dataOffset + index!.size)).toMatchInlineSnapshot(
      `"{"annotations":{"io.astrago.airgap.format":"1","io.astrago.airgap.minimum-tool":"0.1.0","org.opencontainers.image.title":"sample","org.opencontainers.image.version":"1.0.0"},"manifests":[{"annotations":{"io.astrago.airgap.kind":"runtime","org.opencontainers.image.ref.name":"offline-deploy"},"artifactType":"application/vnd.astrago.airgap.tree.v1","digest":"sha256:4b85c124d712c5215757e5190cfb0ae310fcebc044938d0ce822de3929b77186","mediaType":"application/vnd.oci.image.manifest.v1+json","size":532},{"annotations":{"io.astrago.airgap.kind":"tree","org.opencontainers.image.ref.name":"lock"},"artifactType":"application/vnd.astrago.airgap.tree.v1","digest":"sha256:387c7aa1218cd8f76a9524e589f0227734a6fea039d1b395f878e5d7f9051d09","mediaType":"application/vnd.oci.image.manifest.v1+json","size":488}],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"`,
    )
    expect(bytes.toString('utf8', table!.dataOffset, table!.dataOffset + table!.size)).toMatchInlineSnapshot(
      `"{"entries":[["blobs/sha256/387c7aa1218cd8f76a9524e589f0227734a6fea039d1b395f878e5d7f9051d09",488],["blobs/sha256/44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",2],["blobs/sha256/4b85c124d712c5215757e5190cfb0ae310fcebc044938d0ce822de3929b77186",532],["blobs/sha256/ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356",3],["offline-deploy/run",10,{"mode":493}],["blobs/sha256/a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf",0,{"link":"offline-deploy/run"}]],"format":1,"index":"sha256:45a5ba00f0fce11f9e79f4ad790097f33df25475380345fc743fce66c5a93578"}"`,
    )
  })

  it('marks the shards of a large tree', () => {
    const files = ['a', 'b', 'c'].map(path => inlineFile(path, Buffer.from(path)))
    const shards = treeArtifacts({ name: 'rpms/rocky-9.2', kind: 'rpm', files }, { files: 2, bytes: 4096 })
    expect(shards.map(({ root }) => root)).toMatchInlineSnapshot(`
      [
        {
          "annotations": {
            "io.astrago.airgap.kind": "rpm",
            "io.astrago.airgap.shard": "1/2",
            "io.astrago.airgap.tree": "rpms/rocky-9.2",
            "org.opencontainers.image.ref.name": "rpms/rocky-9.2+1",
          },
          "artifactType": "application/vnd.astrago.airgap.tree.v1",
          "digest": "sha256:27fe46754ef3705394661dabcd5eefc28042c268f4513fbcfc9beb8eb47ae850",
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "size": 666,
        },
        {
          "annotations": {
            "io.astrago.airgap.kind": "rpm",
            "io.astrago.airgap.shard": "2/2",
            "io.astrago.airgap.tree": "rpms/rocky-9.2",
            "org.opencontainers.image.ref.name": "rpms/rocky-9.2+2",
          },
          "artifactType": "application/vnd.astrago.airgap.tree.v1",
          "digest": "sha256:d964b6f9f32a85bd49db64ad8cc402c63933252e2d4d7f90c71f40b0c6e6193e",
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "size": 480,
        },
      ]
    `)
  })

  it('has these bytes', async () => {
    const bytes = await bundleBytes(sample)
    expect([bytes.length, digestOf(bytes), layoutOf(sample).layoutDigest]).toMatchInlineSnapshot(`
      [
        11264,
        "sha256:9ffaafa4e494707a8f2ac08f948adec681f4047cde7333288d5209dccdd2e95c",
        "sha256:75fe06ca1c685abb9f060406f5ba66f409bef57384f3fbbd4f1d0110c602e661",
      ]
    `)
  })
})
