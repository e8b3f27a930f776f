import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { mediaTypes } from '../../src/core/media-types.ts'
import { sbomOf } from '../../src/kinds/sbom.ts'
import type { Lock } from '../../src/lock/schema.ts'

const folder = join(import.meta.dirname, 'fixtures/cyclonedx')
const schema = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'))

/** The official schema, which allows no unknown members; keywords and formats that Ajv does not know are an error, too. */
function validator() {
  const ajv = new Ajv({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true })
  formats.default(ajv)
  // annotations of the schema's authors, and formats of international addresses, which the bill does not use
  ajv.addKeyword('meta:enum')
  for (const name of ['iri-reference', 'idn-email']) ajv.addFormat(name, true)
  for (const name of ['spdx.schema.json', 'jsf-0.82.schema.json']) ajv.addSchema(schema(name))
  return ajv.compile(schema('bom-1.6.schema.json'))
}

const digest = digestOf('x')
const sha256 = digest.slice('sha256:'.length)
const deb = (name: string, source: number, more: object) => ({
  name,
  version: '1:1.6-2',
  architecture: 'amd64',
  source,
  component: 'main',
  filename: `pool/${name}.deb`,
  size: 1,
  sha256,
  ...more,
})
const rpm = (name: string, primary: string, more: object = {}) => ({
  name,
  epoch: '1',
  version: '5.14',
  release: '1.el9',
  architecture: 'x86_64',
  repository: 'baseos',
  location: `p/${name}.rpm`,
  size: 1,
  sha256,
  primary,
  filelists: '',
  ...more,
})
const wheel = (project: string, fields: string[], more: object = {}) => ({
  project,
  version: '1.0',
  filename: `${project}-1.0-py3-none-any.whl`,
  url: `https://x.example/${project}-1.0-py3-none-any.whl`,
  size: 1,
  sha256,
  targets: ['cp311-manylinux_2_28_x86_64'],
  metadata: [
    'Metadata-Version: 2.4',
    `Name: ${project}`,
    'Version: 1.0',
    ...fields,
    '',
    'License: in the text',
  ].join('\n'),
  ...more,
})
const source = (archive: string, release: Record<string, string>) => ({
  archive,
  suite: 'stable',
  components: ['main'],
  release,
})

const lock: Lock = {
  lockVersion: 1,
  name: 'sample',
  version: '1.0.0',
  platforms: ['linux/amd64'],
  inputs: digest,
  collisions: {},
  runtime: [
    { path: 'offline-deploy/node', mode: 0o755, digest, size: 1, version: '24.1.0' },
    { path: 'offline-deploy/offline-deploy.mjs', mode: 0o644, digest, size: 1 },
  ],
  items: {
    image: [
      {
        name: 'nvcr.io/nvidia/app:1.0',
        from: 'nvcr.io/nvidia/app',
        digest,
        platforms: ['linux/amd64'],
        manifests: [{ mediaType: mediaTypes.ociManifest, digest, size: 2 }],
        blobs: [],
      },
    ],
    chart: [
      {
        name: 'hello-1.0.0',
        chart: 'hello',
        version: '1.0.0',
        origin: { type: 'http', url: 'https://charts.example/a/hello-1.0.0.tgz' },
        metadata: {
          maintainers: [{ name: 'Jane Doe', email: 'not an address' }],
          annotations: { 'artifacthub.io/license': 'Apache-2.0' },
        },
        layers: [{ mediaType: mediaTypes.helmChart, digest, size: 3 }],
      },
    ],
    deb: [
      {
        name: 'ubuntu-22.04',
        architectures: ['amd64'],
        sources: [
          source('http://archive.ubuntu.com/ubuntu', { Origin: 'Ubuntu' }),
          source('https://developer.download.nvidia.com/cuda', { Origin: 'NVIDIA' }),
        ],
        packages: [
          deb('driver', 1, {
            requested: true,
            stanza: ['Package: driver', 'Maintainer: NVIDIA CORPORATION <cuda@nvidia.com>'],
          }),
          deb('jq', 0, { because: 'driver', stanza: ['Maintainer: Ubuntu Developers <a@b.example>'] }),
          deb('libjq1', 0, { because: 'jq', stanza: [] }),
        ],
      },
    ],
    rpm: [
      {
        name: 'el9',
        architectures: ['x86_64'],
        streams: [],
        repositories: [
          { id: 'baseos', baseurl: 'https://x.example/', keys: ['k'], priority: 99, modules: [], groups: [] },
        ],
        packages: [
          rpm(
            'kernel',
            '<rpm:license>GPLv2 &amp; others</rpm:license><rpm:vendor>Rocky Enterprise Software Foundation</rpm:vendor>',
            {
              requested: true,
            },
          ),
          rpm('tool', '<rpm:vendor>A &lt;B&gt; Inc.</rpm:vendor>', { because: 'kernel' }),
          rpm('plain', '<rpm:vendor/>', { because: 'kernel' }),
        ],
      },
    ],
    wheel: [
      {
        name: 'tools',
        distributions: [
          wheel(
            'app',
            [
              'License-Expression: MIT OR Apache-2.0',
              'Author-email: "Jane Doe" <j@x.example>, B <b@x.example>',
            ],
            {
              requested: true,
            },
          ),
          wheel(
            'lib',
            [
              'License: UNKNOWN',
              'Classifier: License :: OSI Approved :: BSD License',
              'Author: UNKNOWN',
              'Maintainer: The Lib Team',
            ],
            {
              because: 'app',
            },
          ),
          wheel('old', ['License: MIT'], { because: 'lib' }),
        ],
      },
    ],
  },
}

describe('the bill of materials', () => {
  const bom = sbomOf(lock)
  const components = bom['components'] as Record<string, unknown>[]
  const of = (ref: string) => components.find(one => one['bom-ref'] === ref)

  it('is valid CycloneDX 1.6 by the official schema', () => {
    const validate = validator()
    validate(bom)
    expect(validate.errors).toBeNull()
    expect(validate({ ...bom, surplus: 1 })).toBe(false)
    expect(validate(sbomOf({ ...lock, runtime: [], items: {} }))).toBe(true)
  })

  it('has a serial number that follows from the lock', () => {
    expect(bom['serialNumber']).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    expect(sbomOf(structuredClone(lock))).toEqual(bom)
    expect(sbomOf({ ...lock, version: '1.0.1' })['serialNumber']).not.toBe(bom['serialNumber'])
  })

  it('names suppliers and licences as their publishers write them', () => {
    expect(of('image/nvcr.io/nvidia/app:1.0')).toMatchObject({ supplier: { name: 'nvcr.io' } })
    expect(of('chart/hello-1.0.0')).toMatchObject({
      supplier: { name: 'Jane Doe' },
      licenses: [{ license: { name: 'Apache-2.0' } }],
    })
    expect(of('deb/ubuntu-22.04/driver_1:1.6-2_amd64')).toMatchObject({
      supplier: { name: 'NVIDIA CORPORATION' },
    })
    expect(of('rpm/el9/kernel-1:5.14-1.el9.x86_64')).toMatchObject({
      supplier: { name: 'Rocky Enterprise Software Foundation' },
      licenses: [{ license: { name: 'GPLv2 & others' } }],
    })
    expect(of('rpm/el9/plain-1:5.14-1.el9.x86_64')).not.toHaveProperty('supplier')
    expect(of('wheel/app-1.0-py3-none-any.whl')).toMatchObject({
      supplier: { name: 'Jane Doe' },
      licenses: [{ expression: 'MIT OR Apache-2.0' }],
    })
    expect(of('wheel/lib-1.0-py3-none-any.whl')).toMatchObject({
      supplier: { name: 'The Lib Team' },
      licenses: [{ license: { name: 'BSD License' } }],
    })
    expect(of('wheel/old-1.0-py3-none-any.whl')).toMatchObject({ licenses: [{ license: { name: 'MIT' } }] })
  })

  it('has the namespace of the vendor in package URLs', () => {
    const purls = components.map(one => one['purl'])
    for (const purl of [
      'pkg:deb/nvidia/driver@1:1.6-2?arch=amd64&distro=ubuntu-22.04',
      'pkg:deb/ubuntu/jq@1:1.6-2?arch=amd64&distro=ubuntu-22.04',
      'pkg:rpm/rocky/kernel@5.14-1.el9?arch=x86_64&distro=el9&epoch=1',
      'pkg:rpm/a-b-inc/tool@5.14-1.el9?arch=x86_64&distro=el9&epoch=1',
      'pkg:rpm/el/plain@5.14-1.el9?arch=x86_64&distro=el9&epoch=1',
      'pkg:generic/node@24.1.0',
    ])
      expect(purls).toContain(purl)
  })

  it('has the version and licence of the runtime', () => {
    expect(of('runtime/offline-deploy/node')).toMatchObject({
      version: '24.1.0',
      licenses: [{ license: { id: 'MIT' } }],
    })
    expect(of('runtime/offline-deploy/offline-deploy.mjs')).not.toHaveProperty('version')
  })

  it('says what requires what', () => {
    const graph = new Map(
      (bom['dependencies'] as { ref: string; dependsOn?: string[] }[]).map(one => [one.ref, one.dependsOn]),
    )
    expect(graph.size).toBe(components.length + 1)
    expect(graph.get('bundle/sample@1.0.0')).toEqual([
      'chart/hello-1.0.0',
      'deb/ubuntu-22.04/driver_1:1.6-2_amd64',
      'image/nvcr.io/nvidia/app:1.0',
      'rpm/el9/kernel-1:5.14-1.el9.x86_64',
      'runtime/offline-deploy/node',
      'runtime/offline-deploy/offline-deploy.mjs',
      'wheel/app-1.0-py3-none-any.whl',
    ])
    expect(graph.get('deb/ubuntu-22.04/jq_1:1.6-2_amd64')).toEqual(['deb/ubuntu-22.04/libjq1_1:1.6-2_amd64'])
    expect(graph.get('wheel/lib-1.0-py3-none-any.whl')).toEqual(['wheel/old-1.0-py3-none-any.whl'])
    expect(graph.get('wheel/old-1.0-py3-none-any.whl')).toBeUndefined()
  })
})
