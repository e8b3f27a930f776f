import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MemoryStore } from '../../src/content/memory-store.ts'
import { digestOf } from '../../src/core/digest.ts'
import { noise, tempFolder } from '../bundle/samples.ts'
import { overlayServer } from './support/overlay.ts'
import { codesOf, imageOver, pushBlob, pushManifest, send } from './support/pushes.ts'
import { putImage, type Running, sampleImages, start } from './support/servers.ts'

const config = Buffer.from('{"os":"linux"}')
const layer = noise(700_000, 3)

async function pushImage(running: Running, name: string, tag: string): Promise<string> {
  await pushBlob(running, name, config)
  await pushBlob(running, name, layer)
  const manifest = imageOver(config, [layer])
  const got = await pushManifest(running, `/v2/${name}/manifests/${tag}`, manifest)
  expect([got.status, got.headers.get('docker-content-digest')]).toEqual([201, digestOf(manifest)])
  return digestOf(manifest)
}

describe('a push', () => {
  it('is served from then on, and after the servers were started again', async () => {
    const folder = await tempFolder()
    const running = await start((await overlayServer(folder)).server)
    const digest = await pushImage(running, 'team/app', '1')
    const again = await start((await overlayServer(folder)).server)
    for (const one of [running, again]) {
      expect((await one.get('/v2/team/app/manifests/1')).headers['docker-content-digest']).toBe(digest)
      expect((await one.get(`/v2/team/app/blobs/${digestOf(layer)}`)).body.equals(layer)).toBe(true)
      expect((await one.get('/v2/team/app/tags/list')).json()).toEqual({ name: 'team/app', tags: ['1'] })
      expect((await one.get('/v2/_catalog')).json()).toEqual({ repositories: ['team/app'] })
    }
    expect(await readdir(join(folder, 'uploads'))).toEqual([])
  })

  it('of a manifest names every blob that the repository lacks', async () => {
    const running = await start((await overlayServer(await tempFolder())).server)
    await pushBlob(running, 'team/other', config)
    const got = await pushManifest(running, '/v2/team/app/manifests/1', imageOver(config, [layer]))
    expect(got.status).toBe(404)
    expect(codesOf(got.text)).toEqual(['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'])
    expect(got.text).toContain(digestOf(layer))
    expect((await running.get('/v2/team/app/manifests/1')).status).toBe(404)
  })

  it('with other bytes than its digest says leaves nothing behind', async () => {
    const folder = await tempFolder()
    const running = await start((await overlayServer(folder)).server)
    const got = await send(running, `/v2/team/app/blobs/uploads/?digest=${digestOf('other')}`, {
      method: 'POST',
      body: layer,
    })
    expect([got.status, codesOf(got.text)]).toEqual([400, ['DIGEST_INVALID']])
    expect(await readdir(join(folder, 'uploads'))).toEqual([])
    expect(await readdir(join(folder, 'blobs/sha256'))).toEqual([])
  })
})

describe('a repository of a bundle', () => {
  it('takes other tags, keeps its own, and lends its layers without a copy', async () => {
    const store = new MemoryStore()
    const image = await putImage(store, [300_000])
    const images = sampleImages()
    images.add('nvidia/cuda', image.repository)
    const folder = await tempFolder()
    const running = await start((await overlayServer(folder, { store, images })).server)

    const over = await pushManifest(running, '/v2/nvidia/cuda/manifests/1', image.manifestBytes)
    expect([over.status, codesOf(over.text)]).toEqual([403, ['DENIED']])
    for (const path of [
      'manifests/1',
      `manifests/${image.manifest.digest}`,
      `blobs/${image.config.digest}`,
    ]) {
      const got = await send(running, `/v2/nvidia/cuda/${path}`, { method: 'DELETE' })
      expect([got.status, codesOf(got.text)], path).toEqual([403, ['DENIED']])
    }

    const base = image.layerBytes[0]!
    const mount = `/v2/team/training/blobs/uploads/?mount=${digestOf(base)}&from=nvidia/cuda`
    expect((await send(running, mount, { method: 'POST' })).status).toBe(201)
    await pushBlob(running, 'team/training', config)
    const own = imageOver(config, [base])
    expect((await pushManifest(running, '/v2/team/training/manifests/v1', own)).status).toBe(201)
    expect((await running.get(`/v2/team/training/blobs/${digestOf(base)}`)).body.equals(base)).toBe(true)

    await pushBlob(running, 'nvidia/cuda', config)
    expect((await pushManifest(running, '/v2/nvidia/cuda/manifests/ours', own)).status).toBe(201)
    expect((await running.get('/v2/nvidia/cuda/tags/list')).json()).toMatchObject({ tags: ['1', 'ours'] })
    expect((await readdir(join(folder, 'blobs/sha256'))).sort()).toEqual(
      [digestOf(config), digestOf(own)].map(digest => digest.slice(7)).sort(),
    )
  })

  it('that is gone has its layers uploaded, where they are mounted or referred to again', async () => {
    const store = new MemoryStore()
    const image = await putImage(store, [300_000])
    const images = sampleImages()
    images.add('nvidia/cuda', image.repository)
    const folder = await tempFolder()
    const before = await start((await overlayServer(folder, { store, images })).server)
    const base = image.layerBytes[0]!
    const mount = (name: string, from: string) =>
      `/v2/${name}/blobs/uploads/?mount=${digestOf(base)}&from=${from}`
    const method = 'POST'
    expect((await send(before, mount('team/training', 'nvidia/cuda'), { method })).status).toBe(201)

    const running = await start((await overlayServer(folder)).server)
    expect((await send(running, mount('team/other', 'team/training'), { method })).status).toBe(202)
    const own = imageOver(config, [base])
    for (const name of ['team/training', 'team/other']) {
      await pushBlob(running, name, config)
      const path = `/v2/${name}/manifests/v1`
      const lacking = await pushManifest(running, path, own)
      expect([lacking.status, codesOf(lacking.text)]).toEqual([404, ['MANIFEST_BLOB_UNKNOWN']])
      const head = await send(running, `/v2/${name}/blobs/${digestOf(base)}`, { method: 'HEAD' })
      expect(head.status).toBe(404)
    }
    await pushBlob(running, 'team/training', base)
    expect((await pushManifest(running, '/v2/team/training/manifests/v1', own)).status).toBe(201)
  })
})
