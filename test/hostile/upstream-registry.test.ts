import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LayoutStore } from '../../src/content/layout-store.ts'
import { parseReference } from '../../src/core/reference.ts'
import type { ImageRequest } from '../../src/kinds/image/entry.ts'
import { resolveImage } from '../../src/kinds/image/resolve.ts'
import { download } from '../../src/remote/download.ts'
import { describeBytes, failure, noise, RecordingSink, testRegistry } from '../remote/support/clients.ts'
import { type FakeRegistry, startRegistry } from '../remote/support/token-registry.ts'

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  list: 'application/vnd.docker.distribution.manifest.list.v2+json',
  schema2: 'application/vnd.docker.distribution.manifest.v2+json',
  schema1: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
}
const image = { host: 'registry.example', repository: 'team/app', tag: '1' }

function client(registry: FakeRegistry) {
  return testRegistry({ sources: [{ from: 'registry.example', to: [registry.upstream.origin] }] })
}

function addImage(
  registry: FakeRegistry,
  options: { tag?: string; architecture?: string; layers?: object[] } = {},
) {
  const platform = { os: 'linux', architecture: options.architecture ?? 'amd64' }
  const config = registry.putBlob(Buffer.from(JSON.stringify(platform)), types.config)
  const layers = options.layers ?? [registry.putBlob(noise(100))]
  const tag = options.tag === undefined ? {} : { tag: options.tag }
  return { ...registry.put({ schemaVersion: 2, mediaType: types.manifest, config, layers }, tag), platform }
}

/** Locks the image as the image kind does. */
async function resolve(registry: FakeRegistry, options: Partial<ImageRequest> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'airgap-cache-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const { registry: api, http, progress } = client(registry)
  const reference = parseReference('registry.example/team/app:1')
  const request: ImageRequest = {
    at: 'demo.yaml:1:1',
    reference,
    from: reference,
    platforms: [{ os: 'linux', architecture: 'amd64' }],
    referrers: false,
    foreignLayers: 'refuse',
    ...options,
  }
  return await resolveImage(request, {
    http,
    registry: api,
    cache: await LayoutStore.open(folder),
    folder,
    progress,
    now: () => new Date(0),
    signal: new AbortController().signal,
  })
}

describe('hostile upstream: registries', () => {
  it('fault 15: a Content-Type that contradicts the manifest is refused', async () => {
    const registry = await startRegistry()
    const config = registry.putBlob(Buffer.from('{}'), types.config)
    registry.put(
      { schemaVersion: 2, mediaType: types.manifest, config, layers: [] },
      { tag: '1', mediaType: types.schema2 },
    )
    await failure(client(registry).registry.manifest(image), 'UPSTREAM_INVALID')
    registry.put({ schemaVersion: 2, config, layers: [] }, { tag: '1', mediaType: types.index })
    await failure(client(registry).registry.manifest(image), 'UPSTREAM_INVALID')
  })

  it('fault 15: a Content-Type that says nothing is replaced by that of the manifest', async () => {
    for (const mediaType of [
      'application/json',
      'application/octet-stream',
      'text/plain; charset=utf-8',
      '',
    ]) {
      const registry = await startRegistry()
      const config = registry.putBlob(Buffer.from('{}'), types.config)
      registry.put(
        { schemaVersion: 2, mediaType: types.schema2, config, layers: [] },
        { tag: '1', mediaType },
      )
      expect((await client(registry).registry.manifest(image)).descriptor.mediaType).toBe(types.schema2)
      registry.put({ schemaVersion: 2, config, layers: [] }, { tag: '1', mediaType })
      expect((await client(registry).registry.manifest(image)).descriptor.mediaType).toBe(types.manifest)
      registry.put({ schemaVersion: 2, manifests: [] }, { tag: '1', mediaType })
      expect((await client(registry).registry.manifest(image)).descriptor.mediaType).toBe(types.index)
    }
  })

  it('fault 15: a digest header that disagrees with the bytes is exit code 6, and no other mirror is tried', async () => {
    const wrong = describeBytes(Buffer.from('something else')).digest
    const liar = await startRegistry((request, response) => {
      if (!request.url?.includes('/manifests/')) return false
      const manifest = [...liar.manifests.values()][0]!
      response
        .writeHead(200, { 'content-type': manifest.mediaType, 'docker-content-digest': wrong })
        .end(manifest.bytes)
      return true
    })
    const { digest } = addImage(liar, { tag: '1' })
    const honest = await startRegistry()
    addImage(honest, { tag: '1' })
    const sources = [{ from: 'registry.example', to: [liar.upstream.origin, honest.upstream.origin] }]
    const { registry } = testRegistry({ sources })
    for (const reference of [image, { ...image, digest }]) {
      const error = await failure(registry.manifest(reference), 'DIGEST_MISMATCH')
      expect(error.exitCode).toBe(6)
      expect(error.message).toContain(wrong)
    }
    expect(honest.upstream.seen).toEqual([])
  })

  it('fault 15: other bytes than the requested digest are exit code 6', async () => {
    const registry = await startRegistry()
    const real = addImage(registry)
    const other = addImage(registry)
    registry.manifests.set(real.digest, registry.manifests.get(other.digest)!)
    const error = await failure(
      client(registry).registry.manifest({ ...image, digest: real.digest }),
      'DIGEST_MISMATCH',
    )
    expect(error.item).toContain(real.digest)
  })

  it.each(['', 'no json', '[]', 'null', '"text"', '{}', '{"schemaVersion":2}', '{"manifests":5}', '\u0000'])(
    'fault 15: %j is not a manifest',
    async text => {
      for (const mediaType of [types.manifest, 'application/json']) {
        const registry = await startRegistry()
        registry.manifests.set('1', { bytes: Buffer.from(text), mediaType })
        await failure(client(registry).registry.manifest(image), 'UPSTREAM_INVALID')
      }
    },
  )

  it('fault 16: a manifest over 4 MiB is refused, declared or not', async () => {
    for (const declared of [true, false]) {
      const registry = await startRegistry((request, response) => {
        if (!request.url?.includes('/manifests/')) return false
        const headers = { 'content-type': types.manifest }
        const bytes = Buffer.alloc(4 * 1024 * 1024 + 1, ' ')
        response
          .writeHead(200, declared ? { ...headers, 'content-length': bytes.length } : headers)
          .end(bytes)
        return true
      })
      await failure(client(registry).registry.manifest(image), 'UNSUPPORTED')
    }
  })

  it('fault 16: an index of 10,000 entries is refused', async () => {
    const registry = await startRegistry()
    const entry = addImage(registry)
    const manifests = Array.from({ length: 10_000 }, () => entry)
    registry.put(
      { schemaVersion: 2, mediaType: types.index, manifests },
      { tag: '1', mediaType: types.index },
    )
    await failure(client(registry).registry.manifest(image), 'UPSTREAM_INVALID')
  })

  it('fault 16: deeply nested indexes are refused', async () => {
    const registry = await startRegistry()
    let inner: object = addImage(registry)
    for (let depth = 0; depth < 6; depth++) {
      const index = { schemaVersion: 2, mediaType: types.index, manifests: [inner] }
      inner = registry.put(index, { tag: '1', mediaType: types.index })
    }
    const error = await resolve(registry).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'UNSUPPORTED', exitCode: 4 })
  })

  it('fault 16: a cycle cannot be made of digests; one that is claimed is wrong bytes', async () => {
    const registry = await startRegistry()
    const self = { mediaType: types.index, digest: `sha256:${'a'.repeat(64)}`, size: 200 }
    const index = { schemaVersion: 2, mediaType: types.index, manifests: [self] }
    registry.put(index, { tag: '1', mediaType: types.index })
    registry.manifests.set(self.digest, registry.manifests.get('1')!)
    const error = await resolve(registry).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'DIGEST_MISMATCH', exitCode: 6 })
  })

  it('fault 17: schema 1 is refused by name, under any media type', async () => {
    for (const mediaType of [types.schema1, 'application/json', types.schema2]) {
      const registry = await startRegistry()
      registry.put({ schemaVersion: 1, name: 'team/app', tag: '1', fsLayers: [] }, { tag: '1', mediaType })
      const error = await failure(client(registry).registry.manifest(image), 'UNSUPPORTED')
      expect(error.message).toContain('schema 1')
      expect(error.exitCode).toBe(4)
    }
  })

  it('fault 18: a manifest that is both index and image is refused, under either type (CVE-2021-41190)', async () => {
    for (const mediaType of [types.manifest, types.index, types.list, 'application/json']) {
      const registry = await startRegistry()
      const child = addImage(registry)
      const config = registry.putBlob(Buffer.from('{}'), types.config)
      registry.put({ schemaVersion: 2, config, layers: [], manifests: [child] }, { tag: '1', mediaType })
      const error = await failure(client(registry).registry.manifest(image), 'UPSTREAM_INVALID')
      expect(error.message).toContain('CVE-2021-41190')
    }
  })

  it('fault 19: a foreign layer with urls is refused unless declared, then fetched from its url', async () => {
    const registry = await startRegistry()
    const bytes = noise(500)
    const layer = {
      ...describeBytes(bytes),
      mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      urls: ['https://publisher.example/layer', 'file:///etc/shadow'],
    }
    addImage(registry, { tag: '1', layers: [layer] })
    const error = await resolve(registry).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'UNSUPPORTED', next: expect.stringContaining('foreignLayers') })
    const locked = await resolve(registry, { foreignLayers: 'fetch' })
    expect(locked.blobs.find(blob => blob.digest === layer.digest)?.urls).toEqual([
      'https://publisher.example/layer',
    ])
  })

  it('fault 20: a platform missing from the index is reported with the published ones', async () => {
    const registry = await startRegistry()
    const manifests = [
      addImage(registry, { architecture: 'arm64' }),
      addImage(registry, { architecture: 's390x' }),
    ]
    registry.put(
      { schemaVersion: 2, mediaType: types.index, manifests },
      { tag: '1', mediaType: types.index },
    )
    const error = await failure(resolve(registry), 'PLATFORM_MISSING')
    expect(error.likely).toContain('linux/arm64, linux/s390x')
  })

  it('fault 21: a moved tag does not matter: the locked digest is fetched', async () => {
    const registry = await startRegistry()
    const locked = addImage(registry, { tag: '1' })
    addImage(registry, { tag: '1' })
    const found = await client(registry).registry.manifest({ ...image, digest: locked.digest })
    expect(found.descriptor.digest).toBe(locked.digest)
  })

  it('fault 21: a locked digest that is gone is reported with advice, for manifests and blobs', async () => {
    const registry = await startRegistry()
    const { registry: api, clock, progress } = client(registry)
    const gone = describeBytes(noise(10))
    const error = await failure(api.manifest({ ...image, digest: gone.digest }), 'NOT_FOUND_UPSTREAM')
    expect(error.exitCode).toBe(4)
    expect(error.next).toContain('airgap lock')
    for (const as of ['manifest', 'blob'] as const) {
      const openers = api.openers('registry.example/team/app', gone.digest, as)
      const blob = await failure(
        download({ openers, sink: new RecordingSink(gone), clock, progress }),
        'NOT_FOUND_UPSTREAM',
      )
      expect(blob.next).toContain('airgap lock')
    }
  })

  it('fault 21: a locked digest that the mirror has lost is fetched from the next place', async () => {
    const [empty, full] = [await startRegistry(), await startRegistry()]
    const locked = addImage(full)
    const sources = [{ from: 'registry.example', to: [empty.upstream.origin, full.upstream.origin] }]
    const { registry, clock, progress } = testRegistry({ sources })
    expect((await registry.manifest({ ...image, digest: locked.digest })).descriptor.digest).toBe(
      locked.digest,
    )
    const sink = new RecordingSink(locked)
    const openers = registry.openers('registry.example/team/app', locked.digest, 'manifest')
    await download({ openers, sink, clock, progress })
    expect(sink.finished).toBe(true)
  })
})
