import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { digestOf } from '../../src/core/digest.ts'
import { applyValues, isApplied, planValues, rollbackValues } from '../../src/values/file.ts'
import { readValuesRecord, writeValuesRecord } from '../../src/values/record.ts'
import { reviseValues, underWay, type ValuesRecord } from '../../src/values/revise.ts'
import { type Settings, settingsOf, setValues, type ValueTree } from '../../src/values/set.ts'

const offline = { registry: '10.77.0.1:35000', httpServer: 'http://10.77.0.1:8080' }
const off = { harbor: { enabled: false } }
const original = [
  '# values of prod',
  'offline:',
  '  registry: ""   # host:port',
  "  httpServer: ''",
  '',
  'harbor:',
  '  # stores images',
  '  enabled: true # big',
  'externalIP:   ~',
  'versions: {kubernetes:  "1.31",  helm: 3}',
  'list:',
  '- one',
  '# the end',
].join('\n')

let folder: string
let file: string
let record: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-values-'))
  await mkdir(join(folder, 'prod'))
  file = join(folder, 'prod/values.yaml')
  record = join(folder, 'set/prod/values.yaml.json')
  await writeFile(file, original)
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const text = () => readFile(file, 'utf8')
const plan = (settings: Settings) => planValues(file, { settings, record })
const change = async (from: string, to: string) => {
  expect(await text()).toContain(from)
  await writeFile(file, (await text()).replace(from, to))
}

const configured = (before: string, more: ValueTree = {}) =>
  setValues(before, settingsOf(more, offline), file)

const set = (more: ValueTree) => apply(settingsOf(more, offline))

async function apply(settings: Settings) {
  await applyValues(await plan(settings))
  expect(isApplied(await plan(settings))).toBe(true)
  return await text()
}

const rollback = (more: ValueTree = {}) =>
  rollbackValues(file, { settings: settingsOf(more, offline), record })

describe('a value that is no longer set', () => {
  const settings: [string, ValueTree][] = [
    ['a key that the file has', off],
    ['a key that the file has without a value', { externalIP: '10.0.0.9' }],
    ['a key of a flow map', { versions: { kubernetes: '1.32' } }],
    ['a key that the file lacks', { nfs: { server: '10.0.0.1', path: '/x' } }],
    ['a key beside others', { harbor: { size: '10Gi' } }],
    ['a list', { list: ['two', { three: 3 }] }],
    ['a list in place of a map, a map in place of a list', { harbor: [1], list: { a: 1 } }],
    [
      'all at once',
      { ...off, externalIP: 'x', versions: { kubernetes: 'y', more: 1 }, new: { a: { b: 1 } } },
    ],
  ]
  const texts: [string, string][] = [
    ['as it is', original],
    ['with CRLF', original.replaceAll('\n', '\r\n')],
    ['with a byte order mark and a line end', `\uFEFF${original}\n`],
    ['empty', ''],
    ['nothing but comments', '# nothing yet'],
  ]
  const cases = settings.flatMap(([name, values]) =>
    texts.map(([how, before]) => [name, how, values, before] as const),
  )

  it.each(cases)(
    '%s, in a file %s: the previous text is back, byte for byte',
    async (_, __, values, before) => {
      await writeFile(file, before)
      const without = configured(before)
      const first = await set(values)
      expect(first).not.toBe(without)
      expect((await plan(settingsOf({}, offline))).before).toBe(first)
      expect(await set({})).toBe(without)
      // again
      expect(await set(values)).toBe(first)
      expect(await set({})).toBe(without)
      expect(await rollback()).toBe('restored')
      expect(await text()).toBe(before)
      expect(await readdir(folder, { recursive: true })).toEqual(
        expect.not.arrayContaining([expect.stringMatching(/backup|json|part|tmp/)]),
      )
    },
  )

  it.each(settings)('%s: rollback while it is set, after other settings', async (_, values) => {
    await set(off)
    await set(values)
    await set({ ...values, another: 1 })
    expect(await rollback(values)).toBe('restored')
    expect(await text()).toBe(original)
  })

  it('one setting of several', async () => {
    await set({ ...off, externalIP: '10.0.0.9' })
    expect(await set(off)).toBe(configured(original, off))
  })

  it('is shown before it changes', async () => {
    await set(off)
    const { diff } = await plan(settingsOf({}, offline))
    expect(diff).toBe('- 8:   enabled: false # big\n+ 8:   enabled: true # big')
  })

  it('in a file that only gets the addresses', async () => {
    await apply(settingsOf({ harbor: { enabled: false }, registry_host: 'r:1' }))
    const less = settingsOf({ registry_host: 'r:1' })
    expect(await apply(less)).toBe(setValues(original, less, file))
    expect(await apply(settingsOf({}))).toBe(original)
  })

  it('makes the record readable for its owner alone, as values files hold passwords', async () => {
    await set(off)
    expect((await stat(record)).mode & 0o777).toBe(0o600)
    expect((await stat(join(folder, 'set'))).mode & 0o777).toBe(0o700)
  })
})

describe('edits since the settings were made', () => {
  it('elsewhere: they stay with their comments, our settings are removed', async () => {
    await set({ ...off, nfs: { server: 'x' } })
    await change('# stores images', '# stores the images of all teams')
    await change('- one', '- two\n- three # why not')
    await change('nfs:', '# shared\nmine: [1]\nnfs:')
    const edited = await text()
    expect(await set({ ...off, nfs: { server: 'x' } })).toBe(edited)
    expect(await set({})).toBe(
      edited.replace('enabled: false', 'enabled: true').replace(/\nnfs:\s+server: "?x"?/, ''),
    )
    // the edits would be lost
    await expect(rollback()).rejects.toMatchObject({ code: 'VALUES_CHANGED' })
    await change('# stores the images of all teams', '# stores images')
    await change('- two\n- three # why not', '- one')
    await change('# shared\nmine: [1]\n', '')
    expect(await rollback()).toBe('restored')
    expect(await text()).toBe(original)
  })

  it('at the same key: the edit stays and becomes the original', async () => {
    await set(off)
    await change('enabled: false', 'enabled: maybe')
    const edited = await text()
    expect(await set({})).toBe(edited)
    expect((await readValuesRecord(record))?.before).toContain('enabled: maybe')
    await change('enabled: maybe', 'enabled: false')
    expect(await set({})).toContain('enabled: false')
    await expect(rollback()).rejects.toMatchObject({ code: 'VALUES_CHANGED' })
    await change('enabled: false', 'enabled: true')
    expect(await rollback()).toBe('restored')
    expect(await text()).toBe(original)
  })

  it('inside a map of ours: added keys stay', async () => {
    await set({ nfs: { server: 'x', path: '/x' } })
    await change('server: x', 'server: x\n  options: [ro]')
    const after = await set({})
    expect(after).toContain('nfs:\n  options: [ro]')
    expect(after).not.toMatch(/server|path/)
  })

  it('before a key was set: the edit is back, not the first original', async () => {
    await set({})
    await change('enabled: true', 'enabled: "their own"')
    const edited = await text()
    expect(await set(off)).toContain('enabled: false')
    expect(await set({})).toBe(edited)
  })

  it('so that a key cannot be restored: nothing is changed, and the key is named', async () => {
    await set(off)
    await change('enabled: false', 'enabled: &shared false')
    await change('- one', '- *shared')
    await change('# the end', 'again: *shared')
    const edited = await text()
    expect(await set(off)).toBe(edited)
    await expect(plan(settingsOf({}, offline))).rejects.toMatchObject({
      code: 'VALUES_INVALID',
      message: expect.stringContaining('cannot be merged'),
    })
    expect(await text()).toBe(edited)
  })
})

describe('a run that was killed', () => {
  const before = settingsOf(off, offline)

  it('before the file was written: the record knows both states', async () => {
    await set(off)
    const old = await text()
    // a folder where the temporary file would be written
    await mkdir(`${file}.airgap-part/x`, { recursive: true })
    await expect(set({ externalIP: '10.0.0.9' })).rejects.toThrow()
    await rm(`${file}.airgap-part`, { recursive: true })
    expect(await text()).toBe(old)
    expect((await readValuesRecord(record))?.sets).toHaveLength(2)
    // site.yaml has changed by now
    expect(await set({})).toBe(configured(original))
    expect(await rollback()).toBe('restored')
    expect(await text()).toBe(original)
  })

  it.each([
    ['the file is the old one', false],
    ['the file is the new one', true],
  ])('between file and record, %s', async (_, written) => {
    for (const [next, values] of [
      [settingsOf({}, offline), {}],
      [before, off],
      [settingsOf({ more: 1 }, offline), { more: 1 }],
    ] as const) {
      await writeFile(file, original)
      await set(off)
      const { record: remembered, after } = await plan(settingsOf({ externalIP: '10.0.0.9' }, offline))
      await writeValuesRecord(record, underWay(remembered.known, remembered.next))
      if (written) await writeFile(file, after)
      expect(await set(values)).toBe(setValues(original, next, file))
      expect((await readValuesRecord(record))?.sets).toEqual([next])
      expect(await rollback(values)).toBe('restored')
      expect(await text()).toBe(original)
    }
  })

  it('between file and record, followed by an edit of the file', async () => {
    await set(off)
    const { record: remembered } = await plan(settingsOf({ externalIP: '10.0.0.9' }, offline))
    await writeValuesRecord(record, underWay(remembered.known, remembered.next))
    await change('- one', '- two')
    expect(await set({})).toBe(configured(original.replace('- one', '- two')))
  })

  it('while rolling back: it can be rolled back or applied again', async () => {
    await set(off)
    await writeFile(file, original)
    expect(await set({})).toBe(configured(original))
    await rm(record)
    expect(await rollback()).toBe('restored')
    expect(await text()).toBe(original)
  })
})

describe('a record that is missing or damaged', () => {
  it('missing at a site of an older version: the backup tells what the same keys were before', async () => {
    await writeFile(`${file}.airgap-backup`, original)
    await writeFile(file, configured(original, off))
    expect(isApplied(await plan(settingsOf(off, offline)))).toBe(false)
    await set(off)
    expect(await set({})).toBe(configured(original))
    expect(await rollback()).toBe('restored')
    expect(await text()).toBe(original)
  })

  it('damaged: its path is reported, and nothing is changed', async () => {
    const old = await set(off)
    await writeFile(record, '{"before":')
    await expect(set({})).rejects.toMatchObject({ code: 'JOURNAL_INVALID', item: record })
    expect(await text()).toBe(old)
  })
})

describe('a file that was damaged', () => {
  const restore = { code: 'VALUES_INVALID', next: expect.stringContaining('.airgap-backup') }

  it.each([
    ['empty', ''],
    ['blank', ' \n\n'],
    ['a byte order mark', '\uFEFF'],
    ['cut in the middle of a line', undefined],
    ['zeros', '\0'.repeat(200)],
    ['zeros at the end', `${original.slice(0, -9)}${'\0'.repeat(9)}`],
  ])('%s: refused, nothing is changed, and the backup is named', async (_, left) => {
    const full = await set(off)
    const damaged = left ?? full.slice(0, full.indexOf('stores'))
    await writeFile(file, damaged)
    for (const more of [off, {}, { externalIP: 'x' }])
      await expect(set(more)).rejects.toMatchObject({ ...restore, item: file })
    expect(await text()).toBe(damaged)
    // as the message advises
    await writeFile(file, await readFile(`${file}.airgap-backup`))
    expect(await set(off)).toBe(full)
  })

  it('that is empty at a site without a record: refused', async () => {
    await set(off)
    await rm(record)
    await writeFile(file, '')
    await expect(set(off)).rejects.toMatchObject(restore)
  })

  it('is not one that people emptied or cut on purpose', async () => {
    await set(off)
    for (const left of ['{}\n', '# empty', original.slice(0, original.indexOf('harbor')), 'list: []']) {
      await writeFile(file, left)
      expect(await set(off)).toBe(configured(left, off))
    }
  })

  it('is not one that was empty before', async () => {
    await writeFile(file, '')
    await set(off)
    await writeFile(file, '')
    expect(await set(off)).toContain('enabled: false')
  })
})

describe('reviseValues with random values', () => {
  const word = fc.constantFrom('a', 'b', 'c', 'd')
  const tree = fc.letrec<{ node: unknown; tree: ValueTree }>(tie => ({
    node: fc.oneof(
      { maxDepth: 2 },
      fc.constantFrom(1, 'x', true, null, 'a: b'),
      fc.array(fc.nat(3), { maxLength: 2 }),
      tie('tree'),
    ),
    tree: fc.dictionary(word, tie('node'), { maxKeys: 3 }),
  })).tree
  const before = fc
    .tuple(tree, fc.constantFrom('any', 'flow', 'block'), fc.constantFrom('', '# head\n'), fc.boolean())
    .map(([values, collectionStyle, head, end]) => {
      const body = stringify(values, { collectionStyle: collectionStyle as 'any', lineWidth: 0 })
      return `${head}${end ? body : body.trimEnd()}`
    })

  it('the original is back, byte for byte, when nothing is set any more', () => {
    fc.assert(
      fc.property(before, fc.array(tree, { minLength: 1, maxLength: 4 }), (original, sets) => {
        const revise = (now: string, known: ValuesRecord | undefined, values: ValueTree) =>
          reviseValues(now, {
            settings: settingsOf(values),
            record: known,
            untouched: false,
            name: 'v',
            backup: 'b',
          })
        let known: ValuesRecord | undefined
        let now = original
        for (const values of sets) {
          const { after, record: next } = revise(now, known, values)
          expect(after).toBe(setValues(original, settingsOf(values), 'v'))
          now = after
          known = next
        }
        expect(revise(now, known, {})).toEqual({
          after: original,
          record: { before: original, sets: [{ values: '' }], written: [digestOf(original)] },
        })
      }),
      { numRuns: 300 },
    )
  })
})
