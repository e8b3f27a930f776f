import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { assembleLock } from '../../src/assemble/assemble-lock.ts'
import { planLayout } from '../../src/bundle/layout.ts'
import { formatLock, parseLock, readLock } from '../../src/lock/lock.ts'
import type { Lock } from '../../src/lock/schema.ts'

const digest = (letter: string) => `sha256:${letter.repeat(64)}` as const
const lock: Lock = {
  lockVersion: 1,
  name: 'demo',
  version: '1.0',
  platforms: ['linux/amd64'],
  inputs: digest('a'),
  collisions: {},
  runtime: [],
  items: {},
}
const manifest = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digest('c'), size: 3 }
const image = {
  name: 'docker.io/library/x:1',
  from: 'docker.io/library/x',
  digest: digest('c'),
  platforms: [],
  manifests: [manifest],
  blobs: [] as object[],
}
const layer = { mediaType: 'application/octet-stream', digest: digest('d'), size: 5 }
const file = { name: 'a', url: 'https://a.example/x', digest: digest('e'), size: 3, executable: false }
const huge = { ...file, size: Number.MAX_SAFE_INTEGER }

const pathsOf = (given: object) => {
  const read = parseLock(formatLock({ ...lock, ...given }), 'x.lock.json')
  return planLayout(assembleLock(read), { name: read.name, version: read.version }).entries.map(e => e.path)
}

describe('an edited lock', () => {
  it('is good without the edit', () => {
    const blobs = [{ ...layer, urls: ['https://a.example/layer'] }]
    expect(pathsOf({ items: { image: [{ ...image, blobs }], file: [file] } })).toContain('airgap.json')
  })

  it.each<[string, object]>([
    ['an unknown kind', { items: { imagez: [image] } }],
    ['an image without its manifest', { items: { image: [{ ...image, digest: digest('f') }] } }],
    ['a missing referrer', { items: { image: [{ ...image, referrers: [digest('f')] }] } }],
    [
      'a foreign layer from the local machine',
      { items: { image: [{ ...image, blobs: [{ ...layer, urls: ['file:///etc/passwd'] }] }] } },
    ],
    ['a layer from an invalid URL', { items: { image: [{ ...image, blobs: [{ ...layer, urls: ['x'] }] }] } }],
    ['a path in place of a repository', { items: { image: [{ ...image, from: 'a.example/../../x' }] } }],
    ['a password in place of a host', { items: { image: [{ ...image, from: 'a:b@evil.example/x' }] } }],
    ['escapes in an image name', { items: { image: [{ ...image, name: 'x\u001b[2J:1' }] } }],
    ['an image name without a host', { items: { image: [{ ...image, name: 'x:1' }] } }],
    ['a tree named like the parent folder', { items: { tree: [{ name: '..', from: 'a', files: [] }] } }],
    ['a tree in another folder', { items: { tree: [{ name: 'a/b', from: 'a', files: [] }] } }],
    ['a file from the local machine', { items: { file: [{ ...file, url: 'file:///etc/passwd' }] } }],
    ['a size over 2^53', { items: { file: [huge] } }],
    ['a bundle name that is a path', { name: '../../etc/x' }],
    ['a bundle version that is a path', { version: '1/../../x' }],
  ])('is LOCK_INVALID with %s', (_what, given) => {
    expect(() => pathsOf(given)).toThrow(expect.objectContaining({ code: 'LOCK_INVALID' }))
  })

  it.each<[string, object]>([
    ['two contents under one path', { items: { file: [file, { ...file, digest: digest('f') }] } }],
    ['a path that leaves its folder', { items: { file: [{ ...file, name: '../a' }] } }],
    [
      'a runtime file that replaces our entries',
      { runtime: [{ path: 'blobs/x', mode: 0o644, digest: digest('b'), size: 1 }] },
    ],
    ['a runtime file outside', { runtime: [{ path: '../x', mode: 0o644, digest: digest('b'), size: 1 }] }],
  ])('is a usage error with %s', (_what, given) => {
    expect(() => pathsOf(given)).toThrow(expect.objectContaining({ exitCode: 2 }))
  })

  it('keeps both names of a runtime file that it has twice', () => {
    const runtime = ['a', 'b'].map(name => ({ path: `o/${name}`, mode: 0o644, digest: digest('b'), size: 1 }))
    expect(pathsOf({ runtime })).toEqual(expect.arrayContaining(['o/a', 'o/b']))
  })

  it('is refused before it is read where it is not a regular file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'airgap-lock-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    for (const path of [folder, '/dev/zero'])
      await expect(readLock(path)).rejects.toMatchObject({ code: 'LOCK_INVALID', next: expect.any(String) })
    await writeFile(join(folder, 'x'), formatLock(lock))
    expect(await readLock(join(folder, 'x'))).toEqual(lock)
  })
})
