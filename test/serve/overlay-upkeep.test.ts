import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { parseImageName, pushedImages } from '../../src/overlay/images.ts'
import { imagesNeeding } from '../../src/overlay/needed-content.ts'
import { noise, tempFolder } from '../bundle/samples.ts'
import { overlayServer } from './support/overlay.ts'
import { config, day, pushImage, type Site, site } from './support/overlay-site.ts'
import { imageOver, pushBlob, pushManifest, send } from './support/pushes.ts'
import { start } from './support/servers.ts'

const execute = promisify(execFile)
const canMount = await execute('unshare', ['--mount', 'true']).then(
  () => process.getuid?.() === 0,
  () => false,
)
const hexes = (...all: Uint8Array[]) => all.map(one => hexOf(digestOf(one))).sort()

describe('garbage collection', () => {
  it('removes what no manifest refers to, once its links are old', async () => {
    const { running, owner, clock, blobs, ...rest } = await site()
    const manifest = await pushImage({ running }, 'team/app', '1', 1)
    const stray = noise(30_000, 2)
    await pushBlob(running, 'team/app', stray)
    expect(await owner.collect({ before: clock.now - day })).toEqual({
      blobs: 0,
      bytes: 0,
      recent: { blobs: 1, bytes: 30_000 },
    })
    clock.now += 2 * day
    const needed = hexes(config, noise(50_000, 1), manifest)
    expect(await rest.prune({}, { dryRun: true })).toMatchObject({ content: { blobs: 1, bytes: 30_000 } })
    expect((await blobs()).length).toBe(4)
    expect(await owner.collect({ before: clock.now - day })).toMatchObject({ blobs: 1, bytes: 30_000 })
    expect(await blobs()).toEqual(needed)
    expect((await running.get(`/v2/team/app/blobs/${digestOf(stray)}`)).status).toBe(404)
    const again = await start((await overlayServer(rest.folder)).server)
    expect((await again.get('/v2/team/app/manifests/1')).status).toBe(200)
    expect((await again.get(`/v2/team/app/blobs/${digestOf(stray)}`)).status).toBe(404)
  })

  it('beside a push keeps what that has uploaded, looked up or mounted', async () => {
    const { running, owner, clock } = await site()
    const [old, fresh, mounted] = [noise(40_000, 3), noise(40_000, 4), noise(40_000, 5)]
    await pushBlob(running, 'team/app', config)
    await pushBlob(running, 'team/app', old)
    await pushBlob(running, 'team/other', mounted)
    clock.now += 3 * day
    // a client pushes: it has this layer already, uploads another one and mounts a third, and then its manifest
    for (const blob of [config, old])
      expect((await send(running, `/v2/team/app/blobs/${digestOf(blob)}`, { method: 'HEAD' })).status).toBe(
        200,
      )
    await pushBlob(running, 'team/app', fresh)
    const mount = `/v2/team/app/blobs/uploads/?mount=${digestOf(mounted)}&from=team/other`
    const [collected, got] = await Promise.all([
      owner.collect({ before: clock.now - day }),
      send(running, mount, { method: 'POST' }),
    ])
    if (got.status === 202) await pushBlob(running, 'team/app', mounted)
    else expect(collected.blobs).toBe(0)
    await owner.collect({ before: clock.now - day })
    const manifest = imageOver(config, [old, fresh, mounted])
    expect((await pushManifest(running, '/v2/team/app/manifests/1', manifest)).status).toBe(201)
    for (const blob of [old, fresh, mounted])
      expect((await running.get(`/v2/team/app/blobs/${digestOf(blob)}`)).body.equals(blob)).toBe(true)
  })

  it('with many pushes at the same time, and no time of grace, loses nothing that was acknowledged', async () => {
    const { running, owner, clock } = await site()
    let isPushing = true
    const collecting = (async () => {
      while (isPushing) {
        await owner.collect({ before: clock.now + 1 })
        await sleep(1)
      }
    })()
    const acknowledged: { path: string; blobs: Buffer[] }[] = []
    await Promise.all(
      Array.from({ length: 6 }, async (_, worker) => {
        for (let i = 0; i < 8; i++) {
          const name = `team/app${worker % 3}`
          // the same layers again and again, in several repositories
          const blobs = [config, noise(5_000, 100 + (i % 3))]
          for (const blob of blobs) await pushBlob(running, name, blob)
          const path = `/v2/${name}/manifests/t${worker}-${i}`
          const { status } = await pushManifest(
            running,
            path,
            imageOver(config, blobs.slice(1), { annotations: { i: path } }),
          )
          if (status === 201) acknowledged.push({ path, blobs })
          else expect(status).toBe(404)
        }
      }),
    )
    isPushing = false
    await collecting
    for (const { path, blobs } of acknowledged) {
      expect((await running.get(path)).status).toBe(200)
      const name = path.split('/manifests/')[0]
      for (const blob of blobs)
        expect((await running.get(`${name}/blobs/${digestOf(blob)}`)).body.equals(blob)).toBe(true)
    }
  })

  it('keeps layers that registries may lack where they were pushed, and needs them nowhere else', async () => {
    const { running, owner, clock, folder } = await site()
    const layer = noise(30_000, 6)
    const mediaType = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'
    const layers = [layer, noise(30_000, 7)].map(bytes => ({
      mediaType,
      digest: digestOf(bytes),
      size: bytes.length,
    }))
    await pushBlob(running, 'team/app', config)
    await pushBlob(running, 'team/app', layer)
    const manifest = imageOver(config, [], { layers })
    expect((await pushManifest(running, '/v2/team/app/manifests/1', manifest)).status).toBe(201)
    clock.now += 2 * day
    expect(await owner.collect({ before: clock.now })).toMatchObject({ blobs: 0 })
    const path = `/v2/team/app/blobs/${digestOf(layer)}`
    expect((await running.get(path)).body.equals(layer)).toBe(true)
    expect((await send(running, path, { method: 'DELETE' })).status).toBe(403)
    expect(await imagesNeeding(folder, () => true)).toEqual([])
  })

  it('that is killed at any moment (SIGKILL) loses nothing, and the next one completes it', async () => {
    const { running, folder, owner } = await site()
    const images = new Map<string, number>()
    for (let i = 0; i < 4; i++) {
      await pushImage({ running }, `team/app${i}`, '1', 200 + i)
      images.set(`/v2/team/app${i}`, 200 + i)
      for (let j = 0; j < 40; j++) await pushBlob(running, `team/app${i}`, noise(2_000, 1_000 + i * 100 + j))
    }
    await owner.close()
    for (const delay of [0, 3, 8, 20]) {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'collect-child.ts'), folder])
      const exited = once(child, 'exit')
      await Promise.race([once(child.stdout, 'data'), exited])
      await sleep(delay)
      child.kill('SIGKILL')
      await exited
    }
    const { server, owner: next } = await overlayServer(folder)
    const again = await start(server)
    await next.collect({ before: Date.now() })
    expect((await readdir(join(folder, 'blobs/sha256'))).length).toBe(1 + 4 * 2)
    expect(await readdir(join(folder, 'uploads'))).toEqual([])
    for (const [path, seed] of images) {
      expect((await again.get(`${path}/manifests/1`)).status).toBe(200)
      const layer = noise(50_000, seed)
      expect((await again.get(`${path}/blobs/${digestOf(layer)}`)).body.equals(layer)).toBe(true)
    }
  }, 60_000)

  it('removes nothing while a repository cannot be read, and nothing of one with a damaged manifest', async () => {
    const { running, folder } = await site()
    const manifest = await pushImage({ running }, 'team/app', '1', 1)
    await pushImage({ running }, 'team/other', '1', 2)
    const index = join(folder, 'repositories/team+other/index.json')
    const text = await readFile(index)
    await writeFile(index, 'damaged')
    const damaged = await overlayServer(folder)
    await expect(damaged.owner.collect({ before: Date.now() })).rejects.toThrow('cannot be read')
    await writeFile(index, text)
    const file = join(folder, 'blobs/sha256', hexOf(digestOf(manifest)))
    await writeFile(file, 'other bytes')
    const lacking = await overlayServer(folder)
    const removal = { isHeld: () => false, before: Date.now() + day, dryRun: false }
    const policy = { untaggedBefore: Date.now() + day }
    expect((await lacking.owner.removeImages({ chosen: { policy }, ...removal })).content.blobs).toBe(0)
    // a disk that failed for a moment
    await writeFile(file, manifest)
    const again = await start((await overlayServer(folder)).server)
    expect((await again.get('/v2/team/app/manifests/1')).status).toBe(200)
    expect(await readdir(join(folder, 'blobs/sha256'))).toContain(hexOf(digestOf(noise(50_000, 1))))
  })
})

describe('a full disk', () => {
  it.skipIf(!canMount)('does not keep images from being removed (needs mount)', async () => {
    const folder = await tempFolder()
    await execute('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder])
    onTestFinished(async () => void (await execute('umount', ['-l', folder])))
    const { server, owner } = await overlayServer(folder)
    const running = await start(server)
    for (const tag of ['1', '2', '3']) await pushImage({ running }, 'team/app', tag, Number(tag))
    await pushBlob(running, 'team/app', noise(500_000, 9))
    await writeFile(join(folder, 'fill'), noise(4 << 20, 1)).catch(() => {})
    const more = { method: 'POST', body: noise(90_000, 5) }
    const path = `/v2/team/app/blobs/uploads/?digest=${digestOf(more.body)}`
    expect((await send(running, path, more)).status).toBe(507)
    expect((await send(running, '/v2/team/app/manifests/1', { method: 'DELETE' })).status).toBe(202)
    const chosen = { named: [parseImageName('team/app:2')] }
    const before = Date.now() + day
    const removed = await owner.removeImages({ chosen, isHeld: () => false, before, dryRun: false })
    expect(removed).toMatchObject({ tags: [{ tag: '2' }] })
    expect(removed.content.bytes).toBeGreaterThan(500_000)
    expect((await send(running, path, more)).status).toBe(201)
    expect((await running.get('/v2/team/app/manifests/3')).status).toBe(200)
    // for the next time
    expect(await readdir(folder)).toContain('reserve')
  })
})

describe('prune', () => {
  async function withTags(): Promise<Site> {
    const opened = await site()
    for (const [i, tag] of ['1', '2', '3', '4'].entries()) {
      opened.clock.now += day
      await pushImage(opened, 'team/app', tag, i)
      await pushImage(opened, 'team/old/app', tag, 10 + i)
    }
    opened.clock.now += day
    return opened
  }

  it('keeps the newest images of each repository', async () => {
    const { prune, tags } = await withTags()
    expect((await prune({ keep: 2 }, { dryRun: true })).tags.length).toBe(4)
    expect(await tags('team/app')).toEqual(['1', '2', '3', '4'])
    expect(await prune({ keep: 2 })).toMatchObject({ content: { blobs: 8 } })
    expect([await tags('team/app'), await tags('team/old/app')]).toEqual([
      ['3', '4'],
      ['3', '4'],
    ])
  })

  it('removes only that to which all of the policy applies', async () => {
    const { prune, tags, clock } = await withTags()
    await prune({ keep: 1, before: clock.now - 3 * day, match: ['team/*'] })
    expect([await tags('team/app'), await tags('team/old/app')]).toEqual([
      ['2', '3', '4'],
      ['1', '2', '3', '4'],
    ])
    await prune({ match: ['team/**:[12]'] })
    expect(await tags('team/old/app')).toEqual(['3', '4'])
    expect((await prune({})).tags).toEqual([])
  })

  it('keeps another tag of an image that stays, and a layer that another image has', async () => {
    const { running, prune, tags, clock } = await site()
    await pushImage({ running }, 'team/app', 'old', 1)
    clock.now += day
    const manifest = await pushImage({ running }, 'team/app', '2', 2)
    await pushManifest(running, '/v2/team/app/manifests/latest', manifest)
    await pushImage({ running }, 'team/copy', '1', 1)
    clock.now += 2 * day
    await prune({ keep: 1, match: ['team/app'] })
    expect(await tags('team/app')).toEqual(['2', 'latest'])
    expect((await running.get(`/v2/team/copy/blobs/${digestOf(noise(50_000, 1))}`)).status).toBe(200)
    expect((await running.get(`/v2/team/app/blobs/${digestOf(noise(50_000, 1))}`)).status).toBe(404)
  })

  it('removes with an image its platforms and what is attached to it, and nothing of another one', async () => {
    const { running, prune, tags, clock, folder } = await site()
    const platforms = [imageOver(config, [noise(9_000, 1)]), imageOver(config, [noise(9_000, 2)])]
    await pushBlob(running, 'team/app', config)
    for (const seed of [1, 2, 3]) await pushBlob(running, 'team/app', noise(9_000, seed))
    for (const one of platforms) await pushManifest(running, `/v2/team/app/manifests/${digestOf(one)}`, one)
    const mediaType = 'application/vnd.oci.image.index.v1+json'
    const entry = (bytes: Buffer) => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digestOf(bytes),
      size: bytes.length,
    })
    const indexOf = (all: Buffer[]) =>
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: all.map(entry) }))
    const [both, one] = [indexOf(platforms), indexOf(platforms.slice(0, 1))]
    await pushManifest(running, '/v2/team/app/manifests/both', both, mediaType)
    await pushManifest(running, '/v2/team/app/manifests/one', one, mediaType)
    const signature = imageOver(config, [noise(9_000, 3)], {
      subject: { ...entry(both), mediaType },
    })
    await pushManifest(running, `/v2/team/app/manifests/${digestOf(signature)}`, signature)
    const tag = `sha256-${hexOf(digestOf(both))}.sig`
    await pushManifest(running, `/v2/team/app/manifests/${tag}`, imageOver(config, [noise(9_000, 3)]))
    clock.now += 2 * day
    expect((await prune({ keep: 2 })).tags).toEqual([])
    const removed = await prune({ match: ['team/app:both'] })
    expect(removed.tags.map(one => one.tag).sort()).toEqual(['both', tag].sort())
    expect(removed.manifests.length).toBe(4)
    expect(await tags('team/app')).toEqual(['one'])
    const [first, second] = platforms.map(bytes => `/v2/team/app/manifests/${digestOf(bytes)}`)
    expect([(await running.get(first!)).status, (await running.get(second!)).status]).toEqual([200, 404])
    expect((await pushedImages(folder)).images.length).toBe(2)
  })

  it('removes manifests without a tag only where that is wanted, and no recent ones', async () => {
    const { running, prune, clock } = await site()
    const first = await pushImage({ running }, 'team/app', '1', 1)
    clock.now += day
    await pushImage({ running }, 'team/app', '1', 2)
    clock.now += day
    const path = `/v2/team/app/manifests/${digestOf(first)}`
    await prune({ keep: 5 })
    await prune({ untaggedBefore: clock.now - 3 * day })
    expect((await running.get(path)).status).toBe(200)
    expect((await prune({ untaggedBefore: clock.now - day })).manifests.length).toBe(1)
    expect((await running.get(path)).status).toBe(404)
  })

  it('by name refuses all of it if one name is unknown, or an index refers to a manifest', async () => {
    const { running, owner, tags, clock } = await site()
    await pushImage({ running }, 'team/app', '1', 1)
    const remove = (...names: string[]) =>
      owner.removeImages({
        chosen: { named: names.map(parseImageName) },
        isHeld: () => false,
        before: clock.now - day,
        dryRun: false,
      })
    await expect(remove('team/app:1', 'team/app:2')).rejects.toThrow('no such image was pushed here')
    expect(await tags('team/app')).toEqual(['1'])
    expect((await remove('10.0.0.10:35000/team/app:1')).tags).toMatchObject([{ name: 'team/app', tag: '1' }])
    for (const wrong of ['team/app', 'team/app:', 'Team/App:1', 'team/app@sha256:12'])
      expect(() => parseImageName(wrong)).toThrow('does not name')
  })
})
