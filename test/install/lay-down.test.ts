import { chmod, mkdir, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readTree, type TreeMode } from '../../src/content/tree.ts'
import { isLaidDown, layDown } from '../../src/install/lay-down.ts'
import { contentOf, sampleTree } from '../site/support/sample-site.ts'
import { tempFolder, testContext } from './support.ts'

type Files = Record<string, string | { text: string; mode: TreeMode }>

async function placeIn(folder: string, files: Files) {
  const artifacts = sampleTree('tree/a', files)
  const store = await contentOf(artifacts)
  const entries = await readTree(store, store.roots())
  const place = { folder: join(folder, 'a'), record: join(folder, '.a.airgap.json') }
  const { progress, signal, notes } = testContext()
  const result = await layDown(store, entries, { ...place, progress, signal })
  return {
    ...result,
    notes,
    check: () => isLaidDown(entries, place),
    at: (path: string) => join(place.folder, path),
  }
}

const tree: Files = {
  'values.yaml': 'a: 1\n',
  'bin/run': { text: '#!/bin/sh\n', mode: '100755' },
  'deep/er/file': 'x',
  current: { text: 'deep/er', mode: '120000' },
}

describe('layDown', () => {
  it('writes files, modes and links, and finds them again', async () => {
    const folder = await tempFolder()
    const { written, check, at } = await placeIn(folder, tree)
    expect(written).toBe(4)
    expect(await readFile(at('values.yaml'), 'utf8')).toBe('a: 1\n')
    expect((await stat(at('bin/run'))).mode & 0o777).toBe(0o755)
    expect(await readlink(at('current'))).toBe('deep/er')
    expect(await check()).toBe(true)
    await rm(at('deep/er/file'))
    expect(await check()).toBe(false)
    expect(await placeIn(folder, tree)).toMatchObject({ written: 1, unchanged: 3 })
    expect((await readdir(folder, { recursive: true })).filter(name => name.endsWith('.tmp'))).toEqual([])
  })

  it('fault 81: modes do not depend on the umask', async () => {
    const before = process.umask(0o077)
    try {
      const { at } = await placeIn(await tempFolder(), tree)
      expect((await stat(at('values.yaml'))).mode & 0o777).toBe(0o644)
      expect((await stat(at('bin/run'))).mode & 0o777).toBe(0o755)
    } finally {
      process.umask(before)
    }
  })

  it('keeps changed files, updates the others, removes those that are gone from the tree', async () => {
    const folder = await tempFolder()
    const { at } = await placeIn(folder, { ...tree, 'old-1': '1', 'old-2': '2' })
    await writeFile(at('values.yaml'), 'a: of the operator\n')
    await writeFile(at('old-2'), 'precious')
    await writeFile(at('own'), 'not of the tree')
    const next = await placeIn(folder, { ...tree, 'values.yaml': 'a: 2\n', 'deep/er/file': 'y' })
    expect(next).toMatchObject({ kept: ['values.yaml'], written: 1, removed: 1 })
    expect(next.notes.join()).toContain('values.yaml.airgap-new')
    expect(await readFile(at('values.yaml'), 'utf8')).toBe('a: of the operator\n')
    expect(await readFile(at('values.yaml.airgap-new'), 'utf8')).toBe('a: 2\n')
    expect(await readFile(at('deep/er/file'), 'utf8')).toBe('y')
    expect(await readFile(at('old-2'), 'utf8')).toBe('precious')
    expect(await readFile(at('own'), 'utf8')).toBe('not of the tree')
    await expect(stat(at('old-1'))).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await next.check()).toBe(true)
  })

  it('does not report an edit of a file that is the same in the new tree', async () => {
    const folder = await tempFolder()
    const { at } = await placeIn(folder, tree)
    await writeFile(at('values.yaml'), 'mine')
    expect(await placeIn(folder, tree)).toMatchObject({ kept: [], unchanged: 4, written: 0 })
    expect(await readFile(at('values.yaml'), 'utf8')).toBe('mine')
  })

  it('updates a mode', async () => {
    const folder = await tempFolder()
    const { at } = await placeIn(folder, { script: 'x' })
    await placeIn(folder, { script: { text: 'x', mode: '100755' } })
    expect((await stat(at('script'))).mode & 0o777).toBe(0o755)
    await chmod(at('script'), 0o644)
    await placeIn(folder, { script: { text: 'x', mode: '100755' } })
    expect((await stat(at('script'))).mode & 0o777).toBe(0o644)
  })

  it('keeps changed files where the record is damaged', async () => {
    const folder = await tempFolder()
    const { at } = await placeIn(folder, tree)
    await writeFile(at('values.yaml'), 'mine')
    await writeFile(join(folder, '.a.airgap.json'), '{"files":{"../../etc/passwd":')
    expect(await placeIn(folder, tree)).toMatchObject({ kept: ['values.yaml'] })
    expect(await readFile(at('values.yaml'), 'utf8')).toBe('mine')
  })

  it.each([
    ['up and out', 'link', '../../etc/passwd'],
    ['absolute', 'link', '/etc/passwd'],
    ['out through another link', 'link', 'current/../../..'],
    ['one level too many', 'a/link', '../../x'],
    ['empty', 'link', ''],
  ])(
    'hostile tree: a link that leads out (%s) is refused before anything is written',
    async (_, path, target) => {
      const folder = await tempFolder()
      await expect(
        placeIn(folder, { ...tree, [path]: { text: target, mode: '120000' } }),
      ).rejects.toMatchObject({ code: 'BUNDLE_CORRUPT' })
      expect(await readdir(folder)).toEqual([])
    },
  )

  it('refuses a malicious tree: a link that is also a folder', async () => {
    const folder = await tempFolder()
    const files: Files = { x: { text: 'deep', mode: '120000' }, 'x/y': 'z' }
    await expect(placeIn(folder, files)).rejects.toMatchObject({ code: 'BUNDLE_CORRUPT' })
    expect(await readdir(folder)).toEqual([])
  })

  it('writes and removes nothing through a link in place of a folder', async () => {
    const folder = await tempFolder()
    const outside = await tempFolder()
    const { at } = await placeIn(folder, tree)
    await mkdir(join(outside, 'er'))
    await writeFile(join(outside, 'er/file'), 'x')
    await rm(at('deep'), { recursive: true })
    await symlink(outside, at('deep'))
    await expect(placeIn(folder, { ...tree, 'deep/er/file': 'new' })).rejects.toMatchObject({
      code: 'STEP_FAILED',
      item: at('deep'),
    })
    const { 'deep/er/file': _, current: __, ...rest } = tree
    await placeIn(folder, rest)
    expect(await readFile(join(outside, 'er/file'), 'utf8')).toBe('x')
  })
})
