import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { keepBase, mergeFile } from '../../src/install/merge-file.ts'
import { rollbackValues } from '../../src/values/file.ts'
import { writeValuesRecord } from '../../src/values/record.ts'
import { setValues } from '../../src/values/set.ts'
import { tempFolder } from './support.ts'

const old = 'a: 1\nmore:\n  b: two\n'
const theirs = 'a: 2\nmore:\n  b: two\n'
const settings = { values: 'more:\n  c: 3\n' }

async function site(text: string) {
  const folder = await tempFolder()
  const target = join(folder, 'values.yaml')
  const bases = join(folder, 'bases')
  const record = join(folder, 'record.json')
  await keepBase(bases, old)
  await writeFile(target, text)
  return { target, bases, record, base: digestOf(old), theirs }
}

describe('mergeFile on a damaged file', () => {
  const configured = setValues(old.replace('two', 'site'), settings, 'values.yaml')

  it.each([
    ['empty', '', 'empty'],
    ['blank', '\n \n', 'empty'],
    ['cut in the middle of a line', configured.slice(0, -6), 'cut off'],
    ['zeros at the end', `${configured.slice(0, -5)}\0\0\0\0\0`, 'zero bytes'],
  ])('%s, with settings of ours: refused, naming the backup', async (_, left, what) => {
    const { target, ...options } = await site(left)
    await writeValuesRecord(options.record, { before: old.replace('two', 'site'), sets: [settings] })
    await expect(mergeFile(target, options)).rejects.toMatchObject({
      code: 'VALUES_INVALID',
      message: expect.stringContaining(what),
      item: target,
      next: expect.stringContaining(`${target}.airgap-backup`),
    })
    expect(await readFile(target, 'utf8')).toBe(left)
  })

  it.each([
    ['empty', ''],
    ['cut in the middle of a line', old.slice(0, -3)],
  ])('%s, without settings of ours: refused, naming the version that it was made from', async (_, left) => {
    const { target, ...options } = await site(left)
    const error = await mergeFile(target, options).catch(caught => caught)
    expect(error).toMatchObject({ code: 'VALUES_INVALID', item: target })
    const [path] = /\/\S+bases\/[0-9a-f]{64}/.exec(error.next) ?? []
    expect(await readFile(path!, 'utf8')).toBe(old)
  })

  it('merges a file that was emptied on purpose, several times', async () => {
    const { target, ...options } = await site('# nothing of it\n')
    expect(await mergeFile(target, options)).toMatchObject({ kept: ['more'] })
    expect(await readFile(target, 'utf8')).toBe('{}\n')
    await keepBase(options.bases, theirs)
    const next = { ...options, base: digestOf(theirs), theirs: old }
    expect(await mergeFile(target, next)).toMatchObject({ kept: ['more'] })
    expect(await readFile(target, 'utf8')).toBe('{}\n')
  })
})

describe('mergeFile and the digests of written texts', () => {
  // as a program with another layout of added lines would write it
  const written = `${old}\n\n  c: 3\n`

  it.each([
    ['a file that nobody edited can still be rolled back', written, 'restored'],
    ['an edited one cannot', `${written}own: 1\n`, 'VALUES_CHANGED'],
  ])('%s', async (_, text, result) => {
    const { target, ...options } = await site(text)
    await writeFile(`${target}.airgap-backup`, old)
    await writeValuesRecord(options.record, { before: old, sets: [settings], written: [digestOf(written)] })
    await mergeFile(target, options)
    expect(await readFile(target, 'utf8')).toBe(text.replace('a: 1', 'a: 2').replace('\n\n\n', '\n\n'))
    const rolledBack = rollbackValues(target, { settings, record: options.record })
    expect(await rolledBack.catch(error => error.code)).toBe(result)
    if (result === 'restored') expect(await readFile(target, 'utf8')).toBe(theirs)
  })
})
