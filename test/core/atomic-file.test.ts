import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createAtomically, writeAtomically } from '../../src/core/atomic-file.ts'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-atomic-'))
  file = join(folder, 'file')
})
afterEach(() => rm(folder, { recursive: true }))

describe('writeAtomically', () => {
  it('replaces the whole file and leaves nothing beside it', async () => {
    await writeAtomically(file, 'a long first text')
    await writeAtomically(file, 'second', 0o600)
    expect(await readFile(file, 'utf8')).toBe('second')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['file'])
  })

  it('shows a reader the old or the new text, never a part', async () => {
    const texts = ['a', 'b'].map(letter => letter.repeat(1 << 16))
    await writeAtomically(file, texts[0]!)
    const writes = (async () => {
      for (let i = 0; i < 30; i++) await writeAtomically(file, texts[i % 2]!)
    })()
    let writing = true
    writes.finally(() => {
      writing = false
    })
    while (writing) expect(texts).toContain(await readFile(file, 'utf8'))
    await writes
  })

  it('names the file, not the temporary one, in an error', async () => {
    const missing = join(folder, 'no', 'file')
    await expect(writeAtomically(missing, '')).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      item: missing,
    })
  })

  it('replaces a symbolic link, not the file that it leads to', async () => {
    const other = join(folder, 'other')
    await writeFile(other, 'untouched')
    await symlink(other, file)
    await writeAtomically(file, 'new')
    expect(await readFile(other, 'utf8')).toBe('untouched')
    expect(await readFile(file, 'utf8')).toBe('new')
  })
})

describe('createAtomically', () => {
  it('keeps a file that exists', async () => {
    await createAtomically(file, 'first', 0o600)
    await createAtomically(file, 'second')
    expect(await readFile(file, 'utf8')).toBe('first')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['file'])
  })

  it('keeps one of many that are created at the same time', async () => {
    const texts = Array.from({ length: 20 }, (_, i) => `text ${i}`)
    await Promise.all(texts.map(text => createAtomically(file, text)))
    expect(texts).toContain(await readFile(file, 'utf8'))
    expect(await readdir(folder)).toEqual(['file'])
  })
})
