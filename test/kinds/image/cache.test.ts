import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LayoutStore } from '../../../src/content/layout-store.ts'
import { readAll } from '../../../src/content/read.ts'
import { types, Upstream } from './support.ts'

describe('documents of an image in the cache', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airgap-image-cache-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('are replaced by the next lock where a power failure left other bytes: they are not synced one by one', async () => {
    const upstream = await Upstream.start()
    const image = upstream.image({ architecture: 'amd64', os: 'linux' })
    upstream.index([{ ...image, platform: { os: 'linux', architecture: 'amd64' } }], '1')
    const cache = await LayoutStore.open(folder)
    const locked = await upstream.lock({ cache })
    const config = locked.blobs.find(blob => blob.mediaType === types.config)!
    const documents = [...locked.manifests, config]
    for (const document of documents) {
      const path = cache.pathOf(document)
      await writeFile(path, Buffer.alloc((await stat(path)).size))
      await expect(readAll(cache, document, 1 << 20)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    }
    expect(await upstream.lock({ cache })).toEqual(locked)
    for (const document of documents)
      expect(await readAll(cache, document, 1 << 20)).toHaveLength(document.size)
  })
})
