import { mkdir, readdir, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openFileSource } from '../../src/bundle/byte-source.ts'
import { openBundle } from '../../src/bundle/reader.ts'
import { verifyBundle } from '../../src/bundle/verify.ts'
import { attachmentOf } from '../../src/core/attachment.ts'
import { silentProgress } from '../../src/core/progress.ts'
import { keepVerified, openSiteVerdicts, verifiedContent } from '../../src/deploy/site-verdicts.ts'
import { pathsOf } from '../../src/site/state.ts'
import { tempFolder } from '../bundle/samples.ts'
import { overwrite } from '../serve/support/served-file.ts'
import { sampleStack, writeBundle } from '../site/support/sample-site.ts'

const now = () => new Date('2026-11-27T00:00:00Z')

async function bundleAt() {
  const folder = await tempFolder()
  const path = join(folder, 'b.tar')
  await writeBundle(path, sampleStack())
  await sleep(70)
  const paths = pathsOf(join(folder, 'site'))
  await mkdir(join(folder, 'site'), { mode: 0o700 })
  const opened = async () => {
    const source = await openFileSource(path)
    const store = await openBundle(source)
    const { name, version } = store.info
    return { path, source, store, identity: { name, version, digest: store.indexDigest } }
  }
  return { path, paths, opened, isKept: (await attachmentOf(path)) !== undefined }
}

type Site = Awaited<ReturnType<typeof bundleAt>>

/** Returns how many blobs are known at once after a start, and waits until all are. */
async function knownAtStart({ paths, opened }: Site): Promise<number> {
  const bundle = await opened()
  const { store } = bundle
  const state = await store.state()
  const verdicts = openSiteVerdicts({ paths, now })
  await verdicts.add(bundle)
  // what was taken over is known before anything could be read
  const known = store.blobs().filter(blob => verdicts.known(blob, state) === true).length
  for (let i = 0; i < 500; i++) {
    if (store.blobs().every(blob => isKnown(() => verdicts.known(blob, state)))) break
    await sleep(10)
  }
  await verdicts.close()
  await store.close()
  return known
}

function isKnown(known: () => unknown): boolean {
  try {
    return known() === true
  } catch {
    return true
  }
}

async function contentNow({ paths, opened }: Site) {
  const { store, identity } = await opened()
  const found = await verifiedContent({ digest: identity.digest, store }, { paths })
  await store.close()
  return found
}

describe('verdicts of a site', () => {
  it('are found in the background, and known after the next start where the disk was never away', async () => {
    const site = await bundleAt()
    const { store } = await site.opened()
    const blobs = store.blobs().length
    await store.close()
    expect(await contentNow(site)).toBeNull()
    expect(await knownAtStart(site)).toBe(0)
    expect(await contentNow(site)).toEqual({ verified: blobs, blobs, scrubbed: null, damaged: [] })
    expect(await knownAtStart(site)).toBe(site.isKept ? blobs : 0)
    expect((await stat(site.paths.verdicts)).mode & 0o777).toBe(0o700)
  })

  it('of a file that was touched or written to since count for nothing', async () => {
    const site = await bundleAt()
    await knownAtStart(site)
    await utimes(site.path, new Date(), new Date())
    expect(await contentNow(site)).toMatchObject({ verified: 0 })
    expect(await knownAtStart(site)).toBe(0)
  })

  it('find a bit that was flipped while the servers were stopped', async () => {
    const site = await bundleAt()
    await knownAtStart(site)
    const { store } = await site.opened()
    const entry = store.entries().findLast(one => one.size > 0 && one.type === 'file')!
    await store.close()
    await overwrite(site.path, entry.dataOffset, Buffer.from([0xff]))
    await knownAtStart(site)
    expect(await contentNow(site)).toMatchObject({ damaged: [{ digest: entry.digest }] })
  })

  it('are all known where the whole bundle was verified before', async () => {
    const site = await bundleAt()
    const bundle = await site.opened()
    const since = Date.now()
    await verifyBundle(bundle.source, { progress: silentProgress })
    await keepVerified(bundle, { paths: site.paths, since, now })
    const blobs = bundle.store.blobs().length
    await bundle.store.close()
    expect(await contentNow(site)).toEqual({ verified: blobs, blobs, scrubbed: null, damaged: [] })
    expect(await knownAtStart(site)).toBe(site.isKept ? blobs : 0)
  })

  it('that `verify` finds while the servers run are taken over', async () => {
    const site = await bundleAt()
    const bundle = await site.opened()
    const { store } = bundle
    // the servers cannot read anything themselves
    const stuck = new Proxy(store, {
      get(target, key) {
        if (key === 'open' || key === 'extents') return () => new Promise(() => {})
        const value = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const verdicts = openSiteVerdicts({ paths: site.paths, now })
    await verdicts.add({ ...bundle, store: stuck })
    const state = await store.state()
    const known = () => store.blobs().filter(blob => verdicts.known(blob, state) === true).length
    expect(known()).toBe(0)
    await keepVerified(bundle, { paths: site.paths, since: Date.now(), now })
    await verdicts.refresh()
    const all = site.isKept ? store.blobs().length : 0
    expect(known()).toBe(all)
    await verdicts.close()
    expect((await contentNow(site))?.verified).toBe(store.blobs().length)
    await store.close()
  })

  it('are not kept where the file was written to just before it was verified, or where there is no site', async () => {
    const site = await bundleAt()
    await utimes(site.path, new Date(), new Date())
    const bundle = await site.opened()
    const { mtimeMs } = await stat(site.path)
    await keepVerified(bundle, { paths: site.paths, since: mtimeMs + 5, now })
    const elsewhere = pathsOf(join(site.paths.verdicts, '../../nowhere'))
    await keepVerified(bundle, { paths: elsewhere, since: Date.now() + 1_000, now })
    await bundle.store.close()
    expect(await contentNow(site)).toBeNull()
    expect(await readdir(join(elsewhere.verdicts, '../..'))).not.toContain('nowhere')
  })
})
