import { existsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { openOverlay } from '../../src/overlay/overlay.ts'
import { noise, tempFolder } from '../bundle/samples.ts'
import { overlayServer } from './support/overlay.ts'
import { config, day, pushImage, site } from './support/overlay-site.ts'
import { pushBlob } from './support/pushes.ts'
import { start } from './support/servers.ts'

describe('an overlay with damaged files', () => {
  it('takes an empty index for damaged, and removes nothing', async () => {
    const { running, folder } = await site()
    await pushImage({ running }, 'team/app', '1', 1)
    await writeFile(join(folder, 'repositories/team+app/index.json'), '')
    const { owner } = await overlayServer(folder)
    await expect(owner.collect({ before: Date.now() + day })).rejects.toThrow('cannot be read')
    expect((await readdir(join(folder, 'blobs/sha256'))).length).toBe(3)
  })

  it('keeps a manifest that was unreadable for a moment, whatever is pushed meanwhile', async () => {
    const { running, folder, tags } = await site()
    const manifest = await pushImage({ running }, 'team/app', '1', 1)
    expect(await tags('team/app')).toEqual(['1'])
    const file = join(folder, 'blobs/sha256', hexOf(digestOf(manifest)))
    await rm(file)
    const lacking = await start((await overlayServer(folder)).server)
    await pushImage({ running: lacking }, 'team/app', '2', 2)
    await writeFile(file, manifest)
    const { server, owner } = await overlayServer(folder)
    const again = await start(server)
    await owner.collect({ before: Date.now() + day })
    for (const tag of ['1', '2']) expect((await again.get(`/v2/team/app/manifests/${tag}`)).status).toBe(200)
    expect((await again.get(`/v2/team/app/blobs/${digestOf(noise(50_000, 1))}`)).status).toBe(200)
  })

  it('removes what a damaged manifest needed once its tag is pushed again', async () => {
    const { running, folder } = await site()
    const manifest = await pushImage({ running }, 'team/app', '1', 1)
    await rm(join(folder, 'blobs/sha256', hexOf(digestOf(manifest))))
    const { server, owner } = await overlayServer(folder)
    const again = await start(server)
    expect(await owner.collect({ before: Date.now() + day })).toMatchObject({ blobs: 0 })
    await pushImage({ running: again }, 'team/app', '1', 2)
    expect(await owner.collect({ before: Date.now() + day })).toMatchObject({ blobs: 1, bytes: 50_000 })
  })

  it('loses no content of an unreadable repository when a push to another one fails', async () => {
    const { running, folder } = await site()
    await pushImage({ running }, 'team/app', '1', 1)
    await pushBlob(running, 'team/other', config)
    await writeFile(join(folder, 'repositories/team+app/index.json'), '{')
    const { owner } = await overlayServer(folder)
    // every write of this repository fails, as on a full disk
    await rm(join(folder, 'repositories/team+other'), { recursive: true })
    await writeFile(join(folder, 'repositories/team+other'), '')
    const layer = noise(50_000, 1)
    const [name, holder, digest] = ['team/other', 'a process', digestOf(layer)]
    const { id } = await owner.beginUpload({ name })
    await owner.leaseUpload({ name, id, holder })
    await writeFile(join(folder, 'uploads', id), layer)
    await expect(owner.commitUpload({ name, id, holder, digest, size: layer.length })).rejects.toThrow()
    expect(existsSync(join(folder, 'blobs/sha256', hexOf(digest)))).toBe(true)
  })

  it('is repaired by a push of the same content, also for clients that pull beside it', async () => {
    const { running, folder } = await site()
    const manifest = await pushImage({ running }, 'team/app', '1', 1)
    const layer = noise(50_000, 1)
    const path = `/v2/team/app/blobs/${digestOf(layer)}`
    expect((await running.get(path)).body.equals(layer)).toBe(true)
    for (const bytes of [layer, manifest]) {
      const file = join(folder, 'blobs/sha256', hexOf(digestOf(bytes)))
      const other = Buffer.from(bytes)
      other[20]! ^= 1
      await writeFile(file, other)
    }
    await pushImage({ running }, 'team/app', '1', 1)
    expect((await running.get(path)).body.equals(layer)).toBe(true)
    expect((await running.get('/v2/team/app/manifests/1')).body.equals(manifest)).toBe(true)
    for (const bytes of [layer, manifest])
      expect(await readFile(join(folder, 'blobs/sha256', hexOf(digestOf(bytes))))).toEqual(bytes)
  })
})

describe('a serving process that ends', () => {
  async function uploads(count: number) {
    const folder = await tempFolder()
    const owner = await openOverlay(folder)
    onTestFinished(() => owner.close())
    const at = { name: 'team/app', holder: 'a process' }
    const ids: string[] = []
    for (let i = 0; i < count; i++) {
      const { id } = await owner.beginUpload(at)
      await owner.leaseUpload({ ...at, id })
      await writeFile(join(folder, 'uploads', id), config)
      ids.push(id)
    }
    return { folder, owner, at, ids }
  }

  it('keeps the lease of what is being committed, so that nobody writes to a blob', async () => {
    const { folder, owner, at, ids } = await uploads(1)
    const id = ids[0]!
    const digest = digestOf(config)
    const committed = owner.commitUpload({ ...at, id, digest, size: config.length })
    await owner.releaseAll(at)
    await expect(owner.leaseUpload({ name: at.name, id, holder: 'another' })).rejects.toThrow()
    await committed
    expect(await readFile(join(folder, 'blobs/sha256', hexOf(digest)))).toEqual(config)
    await expect(owner.upload({ name: at.name, id })).rejects.toThrow('the upload does not exist')
  })

  it('gives back its other uploads where the file of one is gone', async () => {
    const { folder, owner, at, ids } = await uploads(2)
    await rm(join(folder, 'uploads', ids[0]!))
    await owner.releaseAll(at)
    expect(await owner.leaseUpload({ name: at.name, id: ids[1]!, holder: 'another' })).toEqual({
      size: config.length,
    })
  })
})
