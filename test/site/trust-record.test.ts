import { createHash } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { publicKeyOf } from '../../src/signature/public-key.ts'
import { withKey } from '../../src/site/trust-changes.ts'
import { parseTrust, printTrust, readTrust, writeTrust } from '../../src/site/trust-record.ts'

const key = publicKeyOf(createHash('sha256').update('a key').digest())
const change = { now: new Date('2026-11-27T00:00:00Z'), by: 'kim' }
const record = withKey(undefined, key, { ...change, name: 'release-2026' })
const machine = 'f'.repeat(32)

async function trustFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-trust-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'trust.json')
}

it('is read as it was written, with mode 0600', async () => {
  const path = await trustFile()
  expect(await readTrust(path)).toBeUndefined()
  await writeTrust(path, record)
  expect(await readTrust(path)).toEqual(record)
  expect((await readFile(path, 'utf8')).endsWith('\n')).toBe(true)
})

it('is refused with any byte changed, removed or added', () => {
  const text = printTrust(record, machine)
  expect(parseTrust(text, { path: 'trust.json', machine })).toEqual(record)
  const at = fc.nat(text.length - 1)
  const character = fc.constantFrom('0', '1', '2', 'a', 'f', ' ', '\n', '"', '{', '}', ',')
  fc.assert(
    fc.property(at, fc.constantFrom('replace', 'remove', 'insert'), character, (i, how, other) => {
      const rest = text.slice(how === 'insert' ? i : i + 1)
      const changed = `${text.slice(0, i)}${how === 'remove' ? '' : other}${rest}`
      fc.pre(changed !== text)
      expect(() => parseTrust(changed, { path: 'trust.json', machine })).toThrow(
        expect.objectContaining({ code: 'TRUST_INVALID', exitCode: 6 }),
      )
    }),
    { numRuns: 500 },
  )
})

it('is refused if its threshold was lowered, or a key added, with an editor', () => {
  const text = printTrust(record, machine)
  for (const edited of [
    text.replace('"threshold": 1', '"threshold": 2'),
    text.replace('"threshold": 1', '"threshold": 1, "threshold": 1'),
    text.replace('release-2026', 'release-2027'),
    JSON.stringify(JSON.parse(text)),
    '',
    '{}',
    'null',
  ])
    expect(() => parseTrust(edited, { path: 'trust.json', machine })).toThrow(
      expect.objectContaining({
        code: 'TRUST_INVALID',
        message: 'the record of trusted keys was edited or is damaged',
        next: expect.stringContaining('offline-deploy keys add FILE'),
      }),
    )
})

it('is refused on another host: a medium can bring a state folder along', () => {
  expect(() => parseTrust(printTrust(record, 'other'), { path: 'trust.json', machine })).toThrow(
    expect.objectContaining({
      code: 'TRUST_INVALID',
      message: 'the record of trusted keys was written on another host',
    }),
  )
})

it('is refused where other users can write it, and where it is a link', async () => {
  const path = await trustFile()
  await writeTrust(path, record)
  await chmod(path, 0o666)
  await expect(readTrust(path)).rejects.toMatchObject({ code: 'TRUST_INVALID', exitCode: 6 })
  await rm(path)
  await writeFile(`${path}.other`, printTrust(record, ''))
  await symlink(`${path}.other`, path)
  await expect(readTrust(path)).rejects.toMatchObject({ code: 'TRUST_INVALID' })
})
