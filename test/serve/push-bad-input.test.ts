import { execFile } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MemoryStore } from '../../src/content/memory-store.ts'
import { digestOf } from '../../src/core/digest.ts'
import { mediaTypes } from '../../src/core/media-types.ts'
import { noise, tempFolder } from '../bundle/samples.ts'
import { overlayServer } from './support/overlay.ts'
import { codesOf, imageOver, pushBlob, pushManifest, send } from './support/pushes.ts'
import { putImage, type Running, sampleImages, start } from './support/servers.ts'

const run = promisify(execFile)
const config = Buffer.from('{"os":"linux"}')
const layer = noise(10_000, 3)
const image = imageOver(config, [layer])
const text = image.toString()
const path = '/v2/team/app/manifests/1'

async function served(): Promise<Running> {
  const running = await start((await overlayServer(await tempFolder())).server)
  await pushBlob(running, 'team/app', config)
  await pushBlob(running, 'team/app', layer)
  return running
}

describe('a manifest', () => {
  it.each<[string, string | Buffer, string?]>([
    ['that is an index, too (CVE-2021-41190)', text.replace('{', '{"manifests":[],')],
    ['that is an index to programs that ignore case', text.replace('{', '{"Manifests":[],')],
    ['with a doubled key', text.replace('{', '{"layers":[],')],
    ['with a doubled key, escaped', text.replace('{', '{"\\u006cayers":[],')],
    ['with a doubled key in a descriptor', text.replace('"size":', '"size":1,"size":')],
    ['sent as an index', text, mediaTypes.ociIndex],
    ['sent as one of Docker', text, mediaTypes.dockerManifest],
    ['of another format', text, 'application/vnd.docker.distribution.manifest.v1+json'],
    ['that is no JSON', `${text}}`],
    ['that is a list', '[]'],
    ['that is empty', ''],
    ['in Latin-1', Buffer.from(text.replace('linux', 'é').replace('{', '{"x":"é",'), 'latin1')],
    ['of another schema version', text.replace('"schemaVersion":2', '"schemaVersion":1')],
    ['without a config', text.replace(/"config":\{[^}]*\},/, '')],
    ['with a size that is not that of the layer', text.replace('"size":10000', '"size":10001')],
    ['with a digest of another form', text.replace(digestOf(layer), 'sha256:abc')],
    ['with a subject that is none', text.replace('{', '{"subject":{"digest":"x"},')],
    ['with annotations that are no texts', text.replace('{', '{"annotations":{"a":1},')],
    ['deeper than a stack', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
  ])('%s is refused', async (_what, bytes, type = mediaTypes.ociManifest) => {
    const running = await served()
    const got = await pushManifest(running, path, Buffer.from(bytes), type)
    expect([got.status, codesOf(got.text)]).toEqual([400, ['MANIFEST_INVALID']])
    expect((await running.get(path)).status).toBe(404)
    expect((await running.get('/v2/_catalog')).json()).toEqual({ repositories: [] })
  })

  it('larger than 4 MiB is refused, and one of 4 MiB accepted', async () => {
    const running = await served()
    const of = (size: number) => imageOver(config, [layer], { annotations: { a: 'a'.repeat(size) } })
    const rest = (4 << 20) - of(0).length
    expect((await pushManifest(running, path, of(rest))).status).toBe(201)
    const got = await pushManifest(running, path, of(rest + 1))
    expect([got.status, codesOf(got.text)]).toEqual([413, ['MANIFEST_INVALID']])
    const body = new Blob([of(rest + 8_000_000)]).stream()
    const init = { method: 'PUT', body, duplex: 'half' } as RequestInit
    expect((await fetch(`${running.origin}${path}`, init)).status).toBe(413)
  })

  it('with a subject is listed with annotations of up to 64 KiB, and refused with more than 256 KiB', async () => {
    const running = await served()
    const subject = { mediaType: mediaTypes.ociManifest, digest: digestOf('subject'), size: 7 }
    const push = async (size: number) => {
      const bytes = imageOver(config, [layer], { subject, annotations: { a: 'a'.repeat(size) } })
      return (await pushManifest(running, `/v2/team/app/manifests/${digestOf(bytes)}`, bytes)).status
    }
    const sizes = [60 << 10, 70 << 10, 250 << 10, 260 << 10]
    expect(await Promise.all(sizes.map(push))).toEqual([201, 201, 201, 400])
    const { manifests } = (await running.get(`/v2/team/app/referrers/${subject.digest}`)).json() as {
      manifests: { annotations?: { a: string } }[]
    }
    const listed = manifests.map(({ annotations }) => annotations?.a.length ?? 0)
    expect(listed.sort((a, b) => a - b)).toEqual([0, 0, 60 << 10])
  })

  it('with keys that differ in case among its annotations is accepted', async () => {
    const running = await served()
    const bytes = imageOver(config, [layer], { annotations: { Size: '1', size: '2' }, Custom: { layers: 1 } })
    expect((await pushManifest(running, path, bytes)).status).toBe(201)
  })

  it('with another digest than its path is refused', async () => {
    const running = await served()
    const got = await pushManifest(running, `/v2/team/app/manifests/${digestOf('other')}`, image)
    expect([got.status, codesOf(got.text)]).toEqual([400, ['DIGEST_INVALID']])
    for (const reference of ['sha256:abc', 'sha1:abc', 'a:b'])
      expect(
        codesOf((await pushManifest(running, `/v2/team/app/manifests/${reference}`, image)).text),
      ).toEqual(['DIGEST_INVALID'])
    expect((await pushManifest(running, '/v2/team/app/manifests/-x', image)).status).toBe(400)
  })
})

describe('two pushes of one tag', () => {
  it('at once: one of them wins, as a whole, and both manifests are there', async () => {
    const folder = await tempFolder()
    const running = await start((await overlayServer(folder)).server)
    await pushBlob(running, 'team/app', config)
    const images = Array.from({ length: 20 }, (_, i) => imageOver(config, [], { annotations: { i: `${i}` } }))
    const answers = await Promise.all(images.map(bytes => pushManifest(running, path, bytes)))
    expect(answers.map(({ status }) => status)).toEqual(images.map(() => 201))
    const won = (await running.get(path)).headers['docker-content-digest']
    expect(images.map(digestOf)).toContain(won)
    const again = await start((await overlayServer(folder)).server)
    expect((await again.get(path)).headers['docker-content-digest']).toBe(won)
    for (const bytes of images)
      expect((await again.get(`/v2/team/app/manifests/${digestOf(bytes)}`)).body.equals(bytes)).toBe(true)
  })
})

describe('a deletion', () => {
  it('removes a tag, a manifest with its tags, and then its blobs, but nothing that is in use', async () => {
    const running = await served()
    await pushManifest(running, path, image)
    await pushManifest(running, '/v2/team/app/manifests/2', image)
    const remove = async (what: string) => {
      const got = await send(running, `/v2/team/app/${what}`, { method: 'DELETE' })
      return got.status === 202 ? 202 : `${got.status} ${codesOf(got.text)}`
    }
    expect(await remove('manifests/2')).toBe(202)
    expect(await remove('manifests/2')).toBe('404 MANIFEST_UNKNOWN')
    expect((await running.get('/v2/team/app/tags/list')).json()).toEqual({ name: 'team/app', tags: ['1'] })
    expect(await remove(`blobs/${digestOf(layer)}`)).toBe('403 DENIED')
    expect(await remove(`manifests/${digestOf(image)}`)).toBe(202)
    expect((await running.get(path)).status).toBe(404)
    expect(await remove(`blobs/${digestOf(layer)}`)).toBe(202)
    expect(await remove(`blobs/${digestOf(layer)}`)).toBe('404 BLOB_UNKNOWN')
    expect((await running.get(`/v2/team/app/blobs/${digestOf(layer)}`)).status).toBe(404)
    expect(await remove('blobs/sha256:x')).toBe('400 DIGEST_INVALID')
  })

  it('of a manifest that an index lists is refused', async () => {
    const running = await served()
    await pushManifest(running, `/v2/team/app/manifests/${digestOf(image)}`, image)
    const manifests = [{ mediaType: mediaTypes.ociManifest, digest: digestOf(image), size: image.length }]
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
    expect((await pushManifest(running, path, index, mediaTypes.ociIndex)).status).toBe(201)
    const got = await send(running, `/v2/team/app/manifests/${digestOf(image)}`, { method: 'DELETE' })
    expect([got.status, codesOf(got.text)]).toEqual([403, ['DENIED']])
  })
})

describe('a referrer', () => {
  it('of a manifest that is missing, or in a bundle, is listed, also by the tag of clients without the API', async () => {
    const store = new MemoryStore()
    const bundled = await putImage(store, [10])
    const images = sampleImages()
    images.add('nvidia/cuda', bundled.repository)
    const running = await start((await overlayServer(await tempFolder(), { store, images })).server)
    await pushBlob(running, 'nvidia/cuda', config)
    const listed = async (subject: string) => {
      const got = (await running.get(`/v2/nvidia/cuda/referrers/${subject}`)).json() as {
        manifests: { digest: string }[]
      }
      return got.manifests.map(one => one.digest)
    }
    for (const digest of [bundled.manifest.digest, digestOf('missing')]) {
      const subject = { mediaType: mediaTypes.ociManifest, digest, size: 1 }
      const signature = imageOver(config, [], { subject, artifactType: 'a/b' })
      const got = await pushManifest(running, `/v2/nvidia/cuda/manifests/${digestOf(signature)}`, signature)
      expect([got.status, got.headers.get('oci-subject')]).toEqual([201, digest])
      expect(await listed(digest)).toEqual([digestOf(signature)])
    }
    // without a subject: only the tag says what it is about
    const old = imageOver(config, [])
    await pushManifest(running, `/v2/nvidia/cuda/manifests/${digestOf(old)}`, old)
    const manifests = [{ mediaType: mediaTypes.ociManifest, digest: digestOf(old), size: old.length }]
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
    const tag = digestOf('old').replace(':', '-')
    expect(
      (await pushManifest(running, `/v2/nvidia/cuda/manifests/${tag}`, index, mediaTypes.ociIndex)).status,
    ).toBe(201)
    expect(await listed(digestOf('old'))).toEqual([digestOf(old)])
  })
})

const canMount = await run('unshare', ['--mount', 'true']).then(
  () => process.getuid?.() === 0,
  () => false,
)

describe('a full disk', () => {
  it.skipIf(!canMount)('fails the upload alone, and leaves nothing behind (needs mount)', async () => {
    const folder = await tempFolder()
    await run('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', folder])
    onTestFinished(async () => void (await run('umount', ['-l', folder])))
    const running = await start((await overlayServer(folder)).server)
    await pushBlob(running, 'team/app', config)
    const large = noise(4 << 20, 9)
    const got = await send(running, `/v2/team/app/blobs/uploads/?digest=${digestOf(large)}`, {
      method: 'POST',
      body: large,
    })
    expect([got.status, got.text]).toEqual([507, expect.stringContaining('no space left')])
    expect(await readdir(join(folder, 'uploads'))).toEqual([])
    await pushBlob(running, 'team/app', layer)
    expect((await pushManifest(running, path, image)).status).toBe(201)
    // not a byte is left for an index
    await writeFile(join(folder, 'fill'), noise(4 << 20, 1)).catch(() => {})
    const other = imageOver(config, [layer], { annotations: { other: 'x'.repeat(20_000) } })
    expect((await pushManifest(running, path, other)).status).toBe(507)
    expect((await running.get(path)).headers['docker-content-digest']).toBe(digestOf(image))
    expect((await readdir(join(folder, 'blobs/sha256'))).length).toBe(3)
    const again = await start((await overlayServer(folder)).server)
    expect((await again.get(path)).headers['docker-content-digest']).toBe(digestOf(image))
  })
})
