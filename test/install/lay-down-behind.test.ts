import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readTree } from '../../src/content/tree.ts'
import { isLaidDown, layDown } from '../../src/install/lay-down.ts'
import { readLayDownRecord, valuesRecordOf } from '../../src/install/lay-down-record.ts'
import { readValuesRecord, writeValuesRecord } from '../../src/values/record.ts'
import { contentOf, sampleTree } from '../site/support/sample-site.ts'
import { tempFolder, testContext } from './support.ts'

const path = 'environments/prod/values.yaml'
const aliased = 'one: &o 1\ntwo: *o\n'
const apart = 'one: 9\ntwo: 1\n'
const v1 = `a: 1\nimage: old1\n${aliased}`
const v2 = `a: 1\nimage: new2\n${aliased}added:\n  x: 1\n  y: 1\n`
const v3 = `a: 1\nimage: new3\n${aliased}added:\n  x: 2\n  y: 1\nz: 1\n`
/** What the site makes of a version. */
const edited = (text: string) => text.replace('a: 1', 'a: 5')
/** And so that it cannot be put into another: the tree says that both are the same. */
const blocking = (text: string) => edited(text).replace(aliased, apart)
const blocked = blocking(v1)

async function site() {
  const folder = await tempFolder()
  const file = join(folder, 'a', path)
  const record = join(folder, '.a.airgap.json')
  return {
    file,
    backup: `${file}.airgap-backup`,
    fresh: `${file}.airgap-new`,
    record,
    set: valuesRecordOf(record, path),
    text: () => readFile(file, 'utf8'),
    write: (text: string) => writeFile(file, text),
    behind: async () => (await readLayDownRecord(record)).behind[path],
    async lay(text: string, more: Record<string, string> = {}) {
      const store = await contentOf(sampleTree('tree/a', { [path]: text, ...more }))
      const entries = await readTree(store, store.roots())
      const place = { folder: join(folder, 'a'), record }
      const result = await layDown(store, entries, { ...place, ...testContext() })
      expect(await isLaidDown(entries, place)).toBe(true)
      return { ...result, merged: [...result.merged.keys()] }
    },
  }
}

describe('a values file that could not be merged with a new version', () => {
  it('does not take the additions of a version in between for settings of the site', async () => {
    const { lay, write, text, fresh, behind } = await site()
    await lay(v1)
    await write(blocked)
    expect(await lay(v2)).toMatchObject({ kept: [path], merged: [] })
    expect(await text()).toBe(blocked)
    expect(await readFile(fresh, 'utf8')).toBe(v2)
    expect(await behind()).toMatch(/^100644 sha256:/)
    // once more: there is nothing new to tell
    expect(await lay(v2)).toMatchObject({ kept: [], merged: [], unchanged: 1 })
    expect(await lay(v3)).toMatchObject({ kept: [path], merged: [] })
    expect(await text()).toBe(blocked)
    expect(await readFile(fresh, 'utf8')).toBe(v3)
    // nothing is in the way any more
    await write(edited(v1))
    expect(await lay(v3)).toMatchObject({ kept: [], merged: [path] })
    expect(await text()).toBe(edited(v3))
    expect(await behind()).toBeUndefined()
  })

  it('is merged with a later version, once that is possible', async () => {
    const { lay, write, text, behind } = await site()
    await lay(v1)
    await write(blocked)
    await lay(v2)
    await write(edited(v1))
    expect(await lay(v3)).toMatchObject({ merged: [path] })
    expect(await text()).toBe(edited(v3))
    expect(await behind()).toBeUndefined()
  })

  it('is merged past a version that is not valid YAML', async () => {
    const { lay, write, text } = await site()
    await lay(v1)
    await write(edited(v1))
    expect(await lay(`${v2}  bad: [`)).toMatchObject({ kept: [path] })
    expect(await lay(v3)).toMatchObject({ merged: [path] })
    expect(await text()).toBe(edited(v3))
  })

  it('keeps what people left out when they merged by hand', async () => {
    const { lay, write, text, behind } = await site()
    await lay(v1)
    await write(blocked)
    await lay(v2)
    await write(blocking(v2))
    expect(await lay(v2)).toMatchObject({ kept: [], merged: [], unchanged: 1 })
    expect(await behind()).toBeUndefined()
    expect(await text()).toBe(blocking(v2))
    await write(edited(v2).replace('  y: 1\n', ''))
    expect(await lay(v3)).toMatchObject({ merged: [path] })
    expect(await text()).toBe(edited(v3).replace('  y: 1\n', ''))
  })

  it('is merged with the next version after a merge by hand', async () => {
    const { lay, write, text } = await site()
    await lay(v1)
    await write(blocked)
    await lay(v2)
    await write(edited(v2))
    expect(await lay('a: 1\nimage: new3\n')).toMatchObject({ merged: [path] })
    expect(await text()).toBe('a: 5\nimage: new3\n')
  })

  it.each([
    ['the new version', v2],
    ['the old version', v1],
  ])('follows the tree again after it was replaced with %s', async (_, own) => {
    const { lay, write, text, behind } = await site()
    await lay(v1)
    await write(blocked)
    await lay(v2)
    await write(own)
    expect(await lay(v2)).toMatchObject({ kept: [] })
    expect(await text()).toBe(v2)
    expect(await behind()).toBeUndefined()
    await lay(v3)
    expect(await text()).toBe(v3)
  })

  it('is not taken for merged because NAME.airgap-new was deleted', async () => {
    const { lay, write, text, fresh } = await site()
    await lay(v1)
    await write(blocked)
    await lay(v2)
    await rm(fresh)
    await write(edited(v1))
    await lay(v3)
    expect(await text()).toBe(edited(v3))
  })

  it('loses nothing, and gains no settings, where the old version is no longer kept', async () => {
    const { lay, write, text, record } = await site()
    await lay(v1)
    await write(edited(v1))
    await rm(record.replace('.json', '.bases'), { recursive: true })
    expect(await lay(v2)).toMatchObject({ kept: [path] })
    expect(await lay(v3)).toMatchObject({ kept: [path] })
    expect(await text()).toBe(edited(v1))
  })

  it('is kept, with a damaged record, until it has everything of the tree', async () => {
    const { lay, write, text, record } = await site()
    await lay(v1)
    await write(edited(v1))
    await writeFile(record, '{')
    expect(await lay(v2)).toMatchObject({ kept: [path] })
    expect(await lay(v3)).toMatchObject({ kept: [path] })
    expect(await text()).toBe(edited(v1))
    await write(edited(v3))
    expect(await lay(`${v3}last: 1\n`)).toMatchObject({ merged: [path] })
    expect(await text()).toBe(`${edited(v3)}last: 1\n`)
  })

  it('ends the same after a run that was killed before it wrote the record', async () => {
    const { lay, write, text, record } = await site()
    await lay(v1)
    await write(blocked)
    await lay(v2)
    await write(edited(v1))
    const before = await readFile(record)
    await lay(v3)
    const after = await text()
    await writeFile(record, before)
    await lay(v3)
    expect(await text()).toBe(after)
  })

  it('updates backup and record of settings only together with the file', async () => {
    const { lay, write, backup, set } = await site()
    await lay(v1)
    await write(blocked)
    await writeFile(backup, v1)
    await writeValuesRecord(set, { before: v1, sets: [{ values: 'a: 5\n' }] })
    await lay(v2)
    expect(await readFile(backup, 'utf8')).toBe(v1)
    expect((await readValuesRecord(set))?.before).toBe(v1)
    await write(edited(v2))
    await lay(v2)
    expect(await readFile(backup, 'utf8')).toBe(v2)
    expect((await readValuesRecord(set))?.before).toBe(v2)
    await lay(v3)
    expect(await readFile(backup, 'utf8')).toBe(v3)
    expect(await readValuesRecord(set)).toEqual({ before: v3, sets: [{ values: 'a: 5\n' }] })
  })
})
