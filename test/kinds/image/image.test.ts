import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type DockerRegistry,
  hasDockerRegistry,
  startDockerRegistry,
} from '../../../scripts/lib/upstreams/docker-registry.ts'
import { LayoutStore } from '../../../src/content/layout-store.ts'
import { parsePlatform } from '../../../src/core/platform.ts'
import { silentProgress } from '../../../src/core/progress.ts'
import { parseReference } from '../../../src/core/reference.ts'
import type { ImageRequest } from '../../../src/kinds/image/entry.ts'
import { imageKind } from '../../../src/kinds/image/index.ts'
import type { LockedImage } from '../../../src/kinds/image/locked.ts'
import type { ResolveContext } from '../../../src/kinds/kind.ts'
import { createHttpClient } from '../../../src/remote/http-client.ts'
import { createRegistryClient } from '../../../src/remote/registry-client.ts'

const oci = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
}
const docker = {
  list: 'application/vnd.docker.distribution.manifest.list.v2+json',
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  foreign: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
}

interface Blob {
  mediaType: string
  digest: string
  size: number
  platform?: object
  urls?: string[]
}

describe.skipIf(!hasDockerRegistry)(
  'the image kind against docker-registry (needs docker-registry, skopeo)',
  () => {
    let work: string
    let registry: DockerRegistry
    let context: ResolveContext

    beforeAll(async () => {
      work = await mkdtemp(join(tmpdir(), 'airgap-image-'))
      registry = await startDockerRegistry(join(work, 'registry'))
      const sources = [{ from: 'docker.io', to: [`http://${registry.host}`] }]
      const http = createHttpClient({ sources, progress: silentProgress })
      context = {
        http,
        registry: createRegistryClient({ http, sources, progress: silentProgress }),
        cache: await LayoutStore.open(join(work, 'cache')),
        folder: work,
        progress: silentProgress,
        now: () => new Date(),
        signal: new AbortController().signal,
      }
    })
    afterAll(async () => {
      await context?.http.close()
      await registry?.close()
      await rm(work, { recursive: true, force: true })
    })

    async function putBlob(repository: string, mediaType: string, bytes: Buffer): Promise<Blob> {
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
      const started = await fetch(`http://${registry.host}/v2/${repository}/blobs/uploads/`, {
        method: 'POST',
      })
      const location = new URL(started.headers.get('location')!, `http://${registry.host}`)
      location.searchParams.set('digest', digest)
      const put = await fetch(location, {
        method: 'PUT',
        body: new Uint8Array(bytes),
        headers: { 'content-type': 'application/octet-stream' },
      })
      expect(put.status).toBe(201)
      return { mediaType, digest, size: bytes.length }
    }

    async function putManifest(
      repository: string,
      reference: string,
      manifest: { mediaType: string },
    ): Promise<Blob> {
      const bytes = Buffer.from(JSON.stringify(manifest, null, 3))
      const url = `http://${registry.host}/v2/${repository}/manifests/${reference}`
      const put = await fetch(url, {
        method: 'PUT',
        body: new Uint8Array(bytes),
        headers: { 'content-type': manifest.mediaType },
      })
      expect([put.status, await put.text()]).toEqual([201, ''])
      return {
        mediaType: manifest.mediaType,
        digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
        size: bytes.length,
      }
    }

    async function putImage(
      repository: string,
      tag: string,
      made: { types: typeof oci | typeof docker; architecture: string; text: string },
    ): Promise<Blob> {
      const { types, architecture, text } = made
      const config = await putBlob(
        repository,
        types.config,
        Buffer.from(JSON.stringify({ os: 'linux', architecture, text })),
      )
      const layer = await putBlob(repository, types.layer, Buffer.from(text))
      return await putManifest(repository, tag, {
        schemaVersion: 2,
        mediaType: types.manifest,
        config,
        layers: [layer],
      } as { mediaType: string })
    }

    function request(written: string, more: Partial<ImageRequest> = {}): ImageRequest {
      const reference = parseReference(written)
      return {
        at: 'test.yaml:1:1',
        reference,
        from: reference,
        platforms: [parsePlatform('linux/amd64')],
        referrers: false,
        foreignLayers: 'refuse',
        ...more,
      }
    }
    const resolve = (written: string, more?: Partial<ImageRequest>): Promise<LockedImage> =>
      imageKind.resolve(request(written, more), context)

    async function putIndex(
      repository: string,
      types: { index: string; image: typeof oci | typeof docker },
    ): Promise<{ index: Blob; amd64: Blob; arm64: Blob }> {
      const amd64 = await putImage(repository, 'amd64', {
        types: types.image,
        architecture: 'amd64',
        text: 'a',
      })
      const arm64 = await putImage(repository, 'arm64', {
        types: types.image,
        architecture: 'arm64',
        text: 'b',
      })
      const manifests = [
        { ...amd64, platform: { os: 'linux', architecture: 'amd64' } },
        { ...arm64, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
      ]
      const index = await putManifest(repository, 'multi', {
        schemaVersion: 2,
        mediaType: types.index,
        manifests,
      } as { mediaType: string })
      return { index, amd64, arm64 }
    }

    it.each([
      ['an OCI index', oci.index, oci],
      ['a Docker manifest list', docker.list, docker],
    ] as const)('narrows %s by platform and keeps its digest', async (_, index, image) => {
      const repository = `library/${index === oci.index ? 'oci' : 'docker'}`
      const made = await putIndex(repository, { index, image })
      const locked = await resolve(`${repository}:multi`)
      expect(locked.digest).toBe(made.index.digest)
      expect(locked.platforms).toEqual(['linux/amd64'])
      expect(locked.manifests.map(manifest => manifest.digest)).toEqual([
        made.index.digest,
        made.amd64.digest,
      ])
      expect(locked.blobs).toHaveLength(2)
      const both = await resolve(`${repository}:multi`, {
        platforms: ['linux/amd64', 'linux/arm64'].map(parsePlatform),
      })
      expect(both.digest).toBe(made.index.digest)
      expect(both.manifests).toHaveLength(3)
      expect(imageKind.schema.parse(JSON.parse(JSON.stringify(both)))).toEqual(both)
    })

    it('fault 20: names the platforms there are', async () => {
      await putIndex('library/missing', { index: oci.index, image: oci })
      await expect(
        resolve('library/missing:multi', { platforms: [parsePlatform('linux/s390x')] }),
      ).rejects.toMatchObject({
        code: 'PLATFORM_MISSING',
        exitCode: 4,
        likely: expect.stringContaining('linux/arm64/v8'),
        item: expect.stringContaining('test.yaml:1:1'),
      })
    })

    it('a single image for another platform is refused as well', async () => {
      await putImage('library/single', '1', { types: oci, architecture: 'arm64', text: 'c' })
      await expect(resolve('library/single:1')).rejects.toMatchObject({ code: 'PLATFORM_MISSING' })
    })

    it('is fetched from another place than the name it is deployed under', async () => {
      await putImage('bitnamilegacy/keycloak', '22', { types: oci, architecture: 'amd64', text: 'kc' })
      const locked = await resolve('docker.io/bitnami/keycloak:22', {
        from: parseReference('docker.io/bitnamilegacy/keycloak:22'),
      })
      expect(locked).toMatchObject({
        name: 'docker.io/bitnami/keycloak:22',
        from: 'docker.io/bitnamilegacy/keycloak',
      })
      const [artifact] = imageKind.assemble([locked])
      expect(artifact?.root.annotations?.['org.opencontainers.image.ref.name']).toBe(
        'docker.io/bitnami/keycloak:22',
      )
      expect(
        artifact?.blobs.every(
          blob =>
            blob.sources[0]?.type === 'registry' &&
            blob.sources[0].name === 'docker.io/bitnamilegacy/keycloak',
        ),
      ).toBe(true)
    })

    it('carries referrers when asked, each a root named by its digest', async () => {
      const image = await putImage('library/signed', '1', { types: oci, architecture: 'amd64', text: 's' })
      const config = await putBlob('library/signed', 'application/vnd.oci.empty.v1+json', Buffer.from('{}'))
      const layer = await putBlob('library/signed', 'application/spdx+json', Buffer.from('{"spdx":1}'))
      const sbom = {
        schemaVersion: 2,
        mediaType: oci.manifest,
        artifactType: 'application/spdx+json',
        config,
        layers: [layer],
        subject: image,
      }
      const referrer = await putManifest('library/signed', 'sbom', sbom)
      // docker-registry has no referrers API: the tag schema of the distribution specification
      const tag = image.digest.replace(':', '-')
      await putManifest('library/signed', tag, {
        schemaVersion: 2,
        mediaType: oci.index,
        manifests: [{ ...referrer, artifactType: 'application/spdx+json' }],
      } as { mediaType: string })
      expect((await resolve('library/signed:1')).referrers).toBeUndefined()
      const locked = await resolve('library/signed:1', { referrers: true })
      expect(locked.referrers).toEqual([referrer.digest])
      const names = imageKind
        .assemble([locked])
        .map(artifact => artifact.root.annotations?.['org.opencontainers.image.ref.name'])
      expect(names).toEqual(['docker.io/library/signed:1', `docker.io/library/signed@${referrer.digest}`])
    })
  },
)

describe('images that no registry should hold', () => {
  const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value))
  const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const
  const blob = (mediaType: string, text: string) => ({
    mediaType,
    digest: digestOf(Buffer.from(text)),
    size: text.length,
  })

  /** A registry client that answers from a table: what real registries refuse to store must still be met safely. */
  async function resolveFrom(
    manifests: { mediaType: string; bytes: Buffer }[],
    more: Partial<ImageRequest> = {},
  ): Promise<LockedImage> {
    const work = await mkdtemp(join(tmpdir(), 'airgap-image-'))
    try {
      const reference = parseReference('docker.io/library/x:1')
      const http = createHttpClient({ sources: [], progress: silentProgress })
      const real = createRegistryClient({ http, sources: [], progress: silentProgress })
      const answer = (mediaType: string, bytes: Buffer) => ({
        descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length },
        bytes,
      })
      const context: ResolveContext = {
        http,
        registry: {
          ...real,
          manifest: async asked => {
            const found = asked.digest
              ? manifests.find(manifest => digestOf(manifest.bytes) === asked.digest)
              : manifests[0]
            return answer(found!.mediaType, found!.bytes)
          },
          blob: async () => Buffer.from('{"os":"linux","architecture":"amd64"}'),
        },
        cache: await LayoutStore.open(work),
        folder: work,
        progress: silentProgress,
        now: () => new Date(),
        signal: new AbortController().signal,
      }
      const request: ImageRequest = {
        at: 'x.yaml:1:1',
        reference,
        from: reference,
        platforms: [parsePlatform('linux/amd64')],
        referrers: false,
        foreignLayers: 'refuse',
        ...more,
      }
      return await imageKind.resolve(request, context)
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }

  const foreign = {
    mediaType: docker.manifest,
    bytes: bytesOf({
      schemaVersion: 2,
      mediaType: docker.manifest,
      config: blob(docker.config, '{"os":"linux","architecture":"amd64"}'),
      layers: [
        {
          ...blob(docker.foreign, 'windows'),
          urls: ['https://go.microsoft.example/layer', 'file:///etc/passwd'],
        },
      ],
    }),
  }

  it('fault 19: a foreign layer is refused, or fetched from its http urls as declared', async () => {
    await expect(resolveFrom([foreign])).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      next: expect.stringContaining('foreignLayers: fetch'),
    })
    const locked = await resolveFrom([foreign], { foreignLayers: 'fetch' })
    expect(locked.blobs.find(found => found.mediaType === docker.foreign)?.urls).toEqual([
      'https://go.microsoft.example/layer',
    ])
  })

  it('fault 18: a manifest that is both index and image is refused', async () => {
    const both = {
      schemaVersion: 2,
      mediaType: oci.index,
      manifests: [],
      config: blob(oci.config, 'x'),
      layers: [],
    }
    await expect(resolveFrom([{ mediaType: oci.index, bytes: bytesOf(both) }])).rejects.toMatchObject({
      code: 'UPSTREAM_INVALID',
    })
  })

  it('fault 16: an index of 10,000 entries and indexes nested too deeply are refused', async () => {
    const child = blob(oci.manifest, 'x')
    const wide = {
      schemaVersion: 2,
      mediaType: oci.index,
      manifests: Array.from({ length: 10_000 }, () => child),
    }
    await expect(resolveFrom([{ mediaType: oci.index, bytes: bytesOf(wide) }])).rejects.toMatchObject({
      code: 'UPSTREAM_INVALID',
    })
    const chain: { mediaType: string; bytes: Buffer }[] = []
    let inner: object[] = []
    for (let depth = 0; depth < 6; depth++) {
      const bytes = bytesOf({ schemaVersion: 2, mediaType: oci.index, manifests: inner })
      chain.unshift({ mediaType: oci.index, bytes })
      inner = [{ mediaType: oci.index, digest: digestOf(bytes), size: bytes.length }]
    }
    await expect(resolveFrom(chain)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  it('one digest with two sizes is refused', async () => {
    const layer = blob(oci.layer, 'x')
    const manifest = {
      schemaVersion: 2,
      mediaType: oci.manifest,
      config: blob(oci.config, 'y'),
      layers: [layer, { ...layer, size: 7 }],
    }
    await expect(resolveFrom([{ mediaType: oci.manifest, bytes: bytesOf(manifest) }])).rejects.toMatchObject({
      code: 'UPSTREAM_INVALID',
    })
  })
})
