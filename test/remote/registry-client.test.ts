import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseManifest } from '../../src/content/successors.ts'
import type { ResolvedManifest } from '../../src/remote/contract.ts'
import { dockerCredentials } from '../../src/remote/docker-config.ts'
import { download } from '../../src/remote/download.ts'
import { failure, noise, RecordingSink, testRegistry } from './support/clients.ts'
import {
  hasDockerRegistry,
  hasHtpasswd,
  hasSkopeo,
  hasUmoci,
  type RunningRegistry,
  skopeoPush,
  startDockerRegistry,
  umociImage,
} from './support/docker-registry.ts'
import { startRegistry } from './support/token-registry.ts'

const image = { host: 'registry.example', repository: 'team/app', tag: '1' }
const name = 'registry.example/team/app'
const none = { listed: [], tagged: [], unreadable: [] }
const hasTools = hasDockerRegistry && hasSkopeo && hasUmoci && hasHtpasswd
const config = 'application/vnd.oci.image.config.v1+json'
const indexType = 'application/vnd.oci.image.index.v1+json'

function layersOf(manifest: ResolvedManifest) {
  const parsed = parseManifest(manifest.bytes, { mediaType: manifest.descriptor.mediaType, item: 'test' })
  if (parsed.type !== 'manifest') throw new Error('an index')
  return parsed
}

describe.skipIf(!hasTools)('against docker-registry (needs docker-registry, skopeo, umoci, htpasswd)', () => {
  const login = 'me:s3cret'
  const content = noise(3_000_000)
  let folder: string
  let open: RunningRegistry
  let closed: RunningRegistry
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'airgap-images-'))
    const layout = umociImage(folder, content)
    open = await startDockerRegistry()
    closed = await startDockerRegistry({ login })
    skopeoPush(layout, `${open.host}/team/app:1`)
    skopeoPush(layout, `${open.host}/team/app:1.0.1`)
    skopeoPush(layout, `${open.host}/team/old:1`, { format: 'v2s2' })
    skopeoPush(layout, `${closed.host}/team/app:1`, { login })
  })
  afterAll(async () => {
    await open?.stop()
    await closed?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const at = (registry: RunningRegistry) => [{ from: 'registry.example', to: [`http://${registry.host}`] }]

  it('reads a manifest by tag and by digest, its config, and its layers whole and in part', async () => {
    const { registry, clock, progress } = testRegistry({ sources: at(open) })
    const manifest = await registry.manifest(image)
    expect(manifest.descriptor.mediaType).toBe('application/vnd.oci.image.manifest.v1+json')
    const { digest } = manifest.descriptor
    expect((await registry.manifest({ ...image, digest })).bytes.equals(manifest.bytes)).toBe(true)
    const parsed = layersOf(manifest)
    expect(JSON.parse((await registry.blob(image, parsed.config)).toString()).os).toBe('linux')
    const layer = parsed.layers[0]!
    const whole = new RecordingSink(layer)
    await download({ openers: registry.openers(name, layer.digest, 'blob'), sink: whole, clock, progress })
    const rest = new RecordingSink(layer)
    await rest.write(whole.bytes().subarray(0, 1_000_000))
    await download({ openers: registry.openers(name, layer.digest, 'blob'), sink: rest, clock, progress })
    expect(rest.restarts).toEqual([])
    expect(rest.finished).toBe(true)
    const asBlob = new RecordingSink(manifest.descriptor)
    await download({ openers: registry.openers(name, digest, 'manifest'), sink: asBlob, clock, progress })
    expect(asBlob.bytes().equals(manifest.bytes)).toBe(true)
    expect(await registry.referrers(image, digest)).toEqual(none)
  })

  it('reads Docker schema 2', async () => {
    const { registry } = testRegistry({ sources: at(open) })
    const manifest = await registry.manifest({ ...image, repository: 'team/old' })
    expect(manifest.descriptor.mediaType).toBe('application/vnd.docker.distribution.manifest.v2+json')
    expect(layersOf(manifest).layers).toHaveLength(1)
  })

  it('lists similar tags for a missing tag, and distinguishes a missing repository', async () => {
    const { registry } = testRegistry({ sources: at(open) })
    const tag = await failure(registry.manifest({ ...image, tag: '1.0.2' }), 'NOT_FOUND_UPSTREAM')
    expect(tag.exitCode).toBe(4)
    expect(tag.item).toBe(`${open.host}/team/app:1.0.2`)
    expect(tag.likely).toContain('it has 1.0.1, 1')
    const missing = await failure(
      registry.manifest({ ...image, repository: 'team/ap' }),
      'NOT_FOUND_UPSTREAM',
    )
    expect(missing.likely).toContain('repository')
  })

  it('uses the password of docker config.json; without it, the error includes how to log in', async () => {
    const auths = { [closed.host]: { auth: Buffer.from(login).toString('base64') } }
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths }))
    const env = { DOCKER_CONFIG: folder }
    const sources = at(closed)
    const known = testRegistry({ sources, env })
    const credentials = dockerCredentials({ env, progress: known.progress })
    const { registry, clock, progress } = testRegistry({ sources, credentials })
    const layer = layersOf(await registry.manifest(image)).layers[0]!
    const sink = new RecordingSink(layer)
    await download({ openers: registry.openers(name, layer.digest, 'blob'), sink, clock, progress })
    expect(sink.finished).toBe(true)
    const error = await failure(testRegistry({ sources }).registry.manifest(image), 'UNAUTHORIZED')
    expect(error.next).toContain(`docker login ${closed.host}`)
    expect(error.exitCode).toBe(5)
  })
})

describe('mirrors', () => {
  it('tries the next one, and reports why', async () => {
    const [empty, full] = [await startRegistry(), await startRegistry()]
    const layers = [full.putBlob(noise(100))]
    const wanted = full.put(
      { schemaVersion: 2, config: full.putBlob(Buffer.from('{}'), config), layers },
      { tag: '1' },
    )
    const to = ['http://127.0.0.1:9/dead', empty.upstream.origin, `${full.upstream.origin}/prefix`]
    const { registry, progress } = testRegistry({
      sources: [{ from: 'registry.example', to }],
      retry: { attempts: 2 },
    })
    expect((await registry.manifest(image)).descriptor).toEqual(wanted)
    expect(full.upstream.seen[0]?.url).toBe('/v2/prefix/team/app/manifests/1')
    expect(progress.notes.join('\n')).toMatch(
      /refused; trying the next mirror[\s\S]*does not have this tag.*trying the next/,
    )
  })

  it('when all fail, an outage counts for more than a missing tag', async () => {
    const empty = await startRegistry()
    const to = [empty.upstream.origin, 'http://127.0.0.1:9']
    const { registry } = testRegistry({ sources: [{ from: 'registry.example', to }], retry: { attempts: 1 } })
    const error = await failure(registry.manifest(image), 'NETWORK')
    expect(error.message).toContain('none of 2 mirrors')
    expect(error.message).toContain('does not have this tag')
  })
})

describe('blobs', () => {
  it('are fetched from the target of a redirect, by Range, without the login', async () => {
    const bytes = noise(100_000)
    const storage = await startRegistry()
    const blob = storage.putBlob(bytes)
    const authorization = `Basic ${Buffer.from('me:pw').toString('base64')}`
    const front = await startRegistry((request, response) => {
      if (request.headers.authorization !== authorization) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      } else {
        const location = `${storage.upstream.origin}/v2/storage/blobs/${blob.digest}?signature=abc`
        response.writeHead(307, { location }).end()
      }
      return true
    })
    const { registry, clock, progress } = testRegistry({
      sources: [{ from: 'registry.example', to: [front.upstream.origin] }],
      credentials: { find: async () => ({ type: 'basic', username: 'me', password: 'pw' }) },
    })
    const sink = new RecordingSink(blob)
    await sink.write(bytes.subarray(0, 60_000))
    sink.validator = `"${blob.digest}"`
    const openers = registry.openers(name, blob.digest, 'blob')
    await download({ openers, sink, clock, progress })
    expect(sink.finished).toBe(true)
    expect(storage.upstream.seen[0]?.headers.authorization).toBeUndefined()
    expect(storage.upstream.seen[0]?.headers).toMatchObject({
      range: 'bytes=60000-',
      'if-range': `"${blob.digest}"`,
    })
  })

  it('refuses to read a config of more than 16 MiB into memory', async () => {
    const registry = await startRegistry()
    const descriptor = { ...registry.putBlob(Buffer.from('{}'), config), size: 17 * 1024 * 1024 }
    const { registry: api } = testRegistry({
      sources: [{ from: 'registry.example', to: [registry.upstream.origin] }],
    })
    await failure(api.blob(image, descriptor), 'UNSUPPORTED')
    expect(registry.upstream.seen).toEqual([])
  })
})

describe('referrers', () => {
  const subject = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: `sha256:${'1'.repeat(64)}` as const,
    size: 5,
  }
  const descriptor = (n: number) => ({
    ...subject,
    digest: `sha256:${String(n).repeat(64)}` as const,
    artifactType: 'sig',
  })
  const api = (origin: string) =>
    testRegistry({ sources: [{ from: 'registry.example', to: [origin] }] }).registry

  it('are read by the API, page by page, from the same registry only', async () => {
    const registry = await startRegistry((request, response, upstream) => {
      if (!request.url?.startsWith('/v2/team/app/referrers/')) return false
      const second = request.url.includes('page=2')
      response.setHeader('content-type', indexType)
      const link = second
        ? 'http://127.0.0.1:9/v2/team/app/referrers/x'
        : `${upstream.origin}${request.url}?page=2`
      response.setHeader('link', `<${link}>; rel="next"`)
      response.end(
        JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [descriptor(second ? 3 : 2)] }),
      )
      return true
    })
    const found = await api(registry.upstream.origin).referrers(image, subject.digest)
    expect(found.listed).toEqual([descriptor(2), descriptor(3)])
  })

  it('are read from the tag if there is no API; a missing tag means none', async () => {
    const registry = await startRegistry()
    expect(await api(registry.upstream.origin).referrers(image, subject.digest)).toEqual(none)
    const index = { schemaVersion: 2, mediaType: indexType, manifests: [descriptor(4)] }
    registry.put(index, { tag: `sha256-${'1'.repeat(64)}`, mediaType: indexType })
    const found = await api(registry.upstream.origin).referrers(image, subject.digest)
    expect(found).toEqual({ ...none, listed: [descriptor(4)] })
  })

  it('are read from the tag where the API denies access, or answers as Go programs write an empty list', async () => {
    const answers = [
      { status: 403, body: '{"errors":null}' },
      { status: 200, body: '{"schemaVersion":2,"manifests":null}' },
      { status: 200, body: '{"schemaVersion":2}' },
    ]
    for (const { status, body } of answers) {
      const registry = await startRegistry((request, response) => {
        if (!request.url?.startsWith('/v2/team/app/referrers/')) return false
        response.writeHead(status, { 'content-type': `${indexType.toUpperCase()}; charset=utf-8` }).end(body)
        return true
      })
      const index = { schemaVersion: 2, mediaType: indexType, manifests: [descriptor(4)] }
      registry.put(index, { tag: `sha256-${'1'.repeat(64)}`, mediaType: indexType })
      const found = await api(registry.upstream.origin).referrers(image, subject.digest)
      expect(found).toEqual({ ...none, listed: [descriptor(4)] })
    }
  })

  it('are found by the tags of cosign 2, next to the others', async () => {
    const registry = await startRegistry()
    const index = { schemaVersion: 2, mediaType: indexType, manifests: [descriptor(4)] }
    registry.put(index, { tag: `sha256-${'1'.repeat(64)}`, mediaType: indexType })
    const tags = ['sig', 'att', 'sbom'].map(suffix => `sha256-${'1'.repeat(64)}.${suffix}`)
    for (const [i, tag] of tags.entries())
      registry.put({ schemaVersion: 2, config: registry.putBlob(noise(i + 1)), layers: null }, { tag })
    const found = await api(registry.upstream.origin).referrers(image, subject.digest)
    expect(found.listed).toEqual([descriptor(4)])
    expect(found.tagged.map(({ tag }) => tag)).toEqual(tags)
    expect(registry.upstream.seen.some(({ url }) => url.includes('tags/list'))).toBe(false)
  })

  it('that no client can fetch are reported by name', async () => {
    const registry = await startRegistry((request, response) => {
      if (!request.url?.startsWith('/v2/team/app/referrers/')) return false
      const other = { ...descriptor(4), digest: `sha512:${'a'.repeat(128)}` }
      const manifests = [other, descriptor(3), null, { mediaType: 'x' }]
      response.writeHead(200, { 'content-type': indexType })
      response.end(JSON.stringify({ schemaVersion: 2, manifests }))
      return true
    })
    const found = await api(registry.upstream.origin).referrers(image, subject.digest)
    expect(found.listed).toEqual([descriptor(3)])
    expect(found.unreadable.map(({ name }) => name)).toEqual([
      `sha512:${'a'.repeat(128)}`,
      'manifests[2]',
      'manifests[3]',
    ])
    expect(found.unreadable[0]?.reason).toBe('its digest is not a sha256 digest')
  })

  it('a list that is not JSON is reported', async () => {
    const registry = await startRegistry((request, response) => {
      if (!request.url?.startsWith('/v2/team/app/referrers/')) return false
      response.writeHead(200, { 'content-type': indexType }).end('{')
      return true
    })
    const found = await api(registry.upstream.origin).referrers(image, subject.digest)
    expect(found.unreadable).toEqual([
      { name: expect.stringContaining('referrers of sha256:'), reason: 'the manifest is not JSON' },
    ])
  })

  it('end after ten pages', async () => {
    let page = 0
    const registry = await startRegistry((_request, response) => {
      const link = `</v2/team/app/referrers/x?page=${page++}>; rel="next"`
      response.writeHead(200, { 'content-type': indexType, link })
      response.end(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [] }))
      return true
    })
    const found = await api(registry.upstream.origin).referrers(image, subject.digest)
    expect(found.unreadable[0]?.reason).toBe('there are more than 10 pages')
    expect(page).toBeGreaterThanOrEqual(10)
  })
})
