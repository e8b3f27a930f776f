import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { applyValues, isApplied, planValues, rollbackValues } from '../../src/values/file.ts'
import { writeValuesRecord } from '../../src/values/record.ts'
import { underWay } from '../../src/values/revise.ts'
import { settingsOf, setValues, type ValueTree } from '../../src/values/set.ts'

const offline = { registry: '10.77.0.1:35000', httpServer: 'http://10.77.0.1:8080' }
const off = { harbor: { enabled: false } }
const original =
  '# values\noffline:\n  registry: ""\n  httpServer: ""\nharbor:\n  enabled: true # big\nlist:\n- one\n# the end'

let folder: string
let file: string
let record: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-layout-'))
  await mkdir(join(folder, 'set'))
  file = join(folder, 'values.yaml')
  record = join(folder, 'set/values.yaml.json')
  await writeFile(file, original)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const text = () => readFile(file, 'utf8')
const plan = (values: ValueTree) => planValues(file, { settings: settingsOf(values, offline), record })
const rollback = (values: ValueTree = {}) =>
  rollbackValues(file, { settings: settingsOf(values, offline), record })

async function set(values: ValueTree) {
  await applyValues(await plan(values))
  expect(isApplied(await plan(values))).toBe(true)
  return await text()
}

describe('a file that a program with another layout of added lines configured', () => {
  const added = 'offline:\n  registry: "10.77.0.1:35000"\n  httpServer: "http://10.77.0.1:8080"'
  const sets = [settingsOf({}, offline)]
  const texts = [
    ['a blank line at the end', 'a: 1\n\n', `a: 1\n\n${added}\n`],
    ['blank lines and a comment at the end', 'a: 1\n\n\n# end', `a: 1\n\n\n# end\n${added}\n`],
    ['a last line without its line end', 'a: 1\noffline:', `a: 1\n${added}`],
    ['CRLF', 'a: 1\r\n\r\n', `a: 1\r\n\r\n${added.replaceAll('\n', '\r\n')}\r\n`],
  ] as const

  it.each(texts)('%s, recorded without digests: rolled back', async (_, before, written) => {
    await writeFile(file, written)
    await writeFile(`${file}.airgap-backup`, before)
    await writeValuesRecord(record, { before, sets })
    expect(await set({})).toBe(written)
    expect(await rollback()).toBe('restored')
    expect(await text()).toBe(before)
  })

  it.each(texts)('%s, without a record: rolled back', async (_, before, written) => {
    await writeFile(file, written)
    await writeFile(`${file}.airgap-backup`, before)
    expect(await rollback()).toBe('restored')
    expect(await text()).toBe(before)
  })

  it.each(texts)(
    '%s, after a change of settings that was killed: rolled back',
    async (_, before, written) => {
      await writeFile(file, written)
      await writeFile(`${file}.airgap-backup`, before)
      await writeValuesRecord(record, { before, sets })
      const { record: planned } = await plan(off)
      await writeValuesRecord(record, underWay(planned.known, planned.next))
      expect(await rollback()).toBe('restored')
      expect(await text()).toBe(before)
    },
  )

  it('any layout, recorded with its digest: rolled back, and other settings are made in the original', async () => {
    const written = `${original}\n# another layout\n`
    const known = { before: original, sets, written: [digestOf(written)] }
    for (const next of [{}, off]) {
      await writeFile(file, written)
      await writeFile(`${file}.airgap-backup`, original)
      await writeValuesRecord(record, known)
      expect(await set(next)).toBe(
        next === off ? setValues(original, settingsOf(off, offline), file) : written,
      )
      expect(await rollback(next)).toBe('restored')
      expect(await text()).toBe(original)
    }
  })

  it.each([
    ['a line', 'a: 1\n', 'a: 1\nb: 2\n'],
    ['a value', 'a: 1\n', 'a: 2\n'],
    ['a comment', 'a: 1\n', 'a: 1 # one\n'],
    ['the order of keys', 'a: 1\nb: 2\n', 'b: 2\na: 1\n'],
    ['blank lines of a text', 'a: |\n  1\n\n  2\n', 'a: |\n  1\n  2\n'],
  ])('people changed %s since: not rolled back', async (_, before, edited) => {
    await writeFile(file, `${edited}${added}\n`)
    await writeFile(`${file}.airgap-backup`, before)
    await writeValuesRecord(record, { before, sets })
    await expect(rollback()).rejects.toMatchObject({ code: 'VALUES_CHANGED' })
  })

  it('edits that were there before the last apply are not rolled back, whatever the digest', async () => {
    await set({})
    await writeFile(file, (await text()).replace('- one', '- two'))
    await set(off)
    await expect(rollback(off)).rejects.toMatchObject({ code: 'VALUES_CHANGED' })
  })
})
