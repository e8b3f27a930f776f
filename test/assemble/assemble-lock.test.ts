import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { assembleLock } from '../../src/assemble/assemble-lock.ts'
import { MemoryStore } from '../../src/content/memory-store.ts'
import { readTree } from '../../src/content/tree.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { digestOf } from '../../src/core/digest.ts'
import { annotationKeys, mediaTypes } from '../../src/core/media-types.ts'
import { formatLock, parseLock } from '../../src/lock/lock.ts'
import type { Lock } from '../../src/lock/schema.ts'
import { layoutOf, lockOf, stackOf } from './support.ts'

async function sampleLock(): Promise<Lock> {
  const stack = await stackOf('trees: [{name: t, from: deploy}, {name: s, from: deploy, exclude: [x]}]\n', {
    'deploy/x': 'x',
    'deploy/y': 'y',
    'deploy/z': '',
  })
  return await lockOf(stack)
}

const image = (name: string, content: string) => {
  const manifest = { mediaType: mediaTypes.ociManifest, digest: digestOf(content), size: content.length }
  return {
    name,
    from: 'docker.io/library/x',
    digest: manifest.digest,
    platforms: ['linux/amd64'],
    manifests: [manifest],
    blobs: [],
  }
}

describe('the bundle of a lock', () => {
  it('depends on the lock alone: same bytes again, from the lockfile, and in any order of artifacts', async () => {
    const lock = await sampleLock()
    const { layoutDigest } = layoutOf(lock)
    expect(layoutOf(parseLock(formatLock(lock), 'lock')).layoutDigest).toBe(layoutDigest)
    expect(canonicalJson(assembleLock(lock))).toBe(canonicalJson(assembleLock(structuredClone(lock))))
    // the order of keys in memory does not matter
    const turned = { ...lock, items: Object.fromEntries(Object.entries(lock.items).toReversed()) }
    expect(layoutOf(turned).layoutDigest).toBe(layoutDigest)
  })

  it('does not change the lock', async () => {
    const lock = await sampleLock()
    const before = formatLock(lock)
    assembleLock(lock)
    expect(formatLock(lock)).toBe(before)
  })

  it('carries the lock itself, byte for byte', async () => {
    const lock = await sampleLock()
    const artifact = assembleLock(lock).find(
      ({ root }) => root.annotations?.[annotationKeys.refName] === 'lock',
    )!
    const store = new MemoryStore()
    for (const { descriptor, bytes } of artifact.inline) await store.push(descriptor, Readable.from([bytes]))
    const entries = await readTree(store, [artifact.root])
    expect(entries.get('lock.json')?.descriptor.digest).toBe(digestOf(formatLock(lock)))
  })

  it('has the tool under its plain paths, with their modes', async () => {
    const lock = await sampleLock()
    const file = { path: 'app/tool.mjs', mode: 0o644 as const, digest: digestOf('m'), size: 1 }
    const { entries } = layoutOf({ ...lock, runtime: [...lock.runtime, file] })
    const modes = new Map(entries.map(entry => [entry.path, entry.mode]))
    expect(modes.get('offline-deploy')).toBe(0o755)
    expect(modes.get('app/tool.mjs')).toBe(0o644)
  })

  it('is refused if one tag would refer to two images, however it is written', async () => {
    const lock = await sampleLock()
    const images = (...list: ReturnType<typeof image>[]) => ({ ...lock, items: { image: list } })
    const pinned = (content: string) => `docker.io/library/x:1@${digestOf(content)}`
    const same = images(image('docker.io/library/x:1', 'a'), image(pinned('a'), 'a'))
    expect(layoutOf(same).entries.filter(entry => entry.digest === digestOf('a'))).toHaveLength(1)
    for (const two of [
      images(image('docker.io/library/x:1', 'a'), image(pinned('b'), 'b')),
      images(image(pinned('b'), 'b'), image(pinned('a'), 'a')),
    ])
      expect(() => layoutOf(two)).toThrow(expect.objectContaining({ code: 'NAME_COLLISION' }))
    const apart = images(
      image('docker.io/library/x:1', 'a'),
      image(`docker.io/library/x@${digestOf('b')}`, 'b'),
      image('docker.io/library/x:2', 'c'),
    )
    expect(() => layoutOf(apart)).not.toThrow()
  })

  it('is refused if an item does not match the schema of its kind', async () => {
    const lock = await sampleLock()
    for (const items of [
      { file: [{ name: 'x' }] },
      { tree: [{ name: 'x', from: '.', files: [{}] }] },
      { snap: [] },
    ])
      expect(() => assembleLock({ ...lock, items })).toThrow(
        expect.objectContaining({ code: 'LOCK_INVALID' }),
      )
  })
})
