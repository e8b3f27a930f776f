import { chmod, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { applyValues, planValues, rollbackValues } from '../../src/values/file.ts'
import { settingsOf } from '../../src/values/set.ts'
import { withoutPrivileges } from '../without-privileges.ts'

const offline = { registry: '10.77.0.1:35000', httpServer: 'http://10.77.0.1:8080' }
const values = settingsOf({}, offline)
const original =
  '# ours\noffline:\n  registry: old:1 # keep me\n  httpServer: "http://old"\npassword: hunter2\n'

let folder: string
let state: string
let file: string
let record: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-values-'))
  state = await mkdtemp(join(tmpdir(), 'airgap-state-'))
  file = join(folder, 'values.yaml')
  record = join(state, 'set/values.yaml.json')
  await writeFile(file, original)
})
afterEach(async () => {
  for (const one of [folder, state]) await rm(one, { recursive: true, force: true })
})

describe('planValues, applyValues, rollbackValues', () => {
  it('plans without writing, applies with a backup, and rolls back byte for byte', async () => {
    await chmod(file, 0o640)
    const plan = await planValues(file, { settings: values, record })
    expect(plan.diff).toContain('+ 3:   registry: 10.77.0.1:35000 # keep me')
    expect(await readFile(file, 'utf8')).toBe(original)
    expect(await applyValues(plan)).toBe('changed')
    expect(await readFile(`${file}.airgap-backup`, 'utf8')).toBe(original)
    expect((await stat(file)).mode & 0o777).toBe(0o640)
    expect((await stat(`${file}.airgap-backup`)).mode & 0o777).toBe(0o640)
    expect(await applyValues(await planValues(file, { settings: values, record }))).toBe('unchanged')
    expect(await rollbackValues(file, { settings: values, record })).toBe('restored')
    expect(await readFile(file, 'utf8')).toBe(original)
    expect(await readdir(folder)).toEqual(['values.yaml'])
    expect(await rollbackValues(file, { settings: values, record })).toBe('no backup')
  })

  it('keeps the first original when it changes the file again', async () => {
    await applyValues(await planValues(file, { settings: values, record }))
    const elsewhere = settingsOf({}, { ...offline, registry: '10.77.0.9:35000' })
    await applyValues(await planValues(file, { settings: elsewhere, record }))
    expect(await readFile(`${file}.airgap-backup`, 'utf8')).toBe(original)
    await rollbackValues(file, { settings: values, record })
    expect(await readFile(file, 'utf8')).toBe(original)
  })

  it('refuses to roll back over later edits', async () => {
    await applyValues(await planValues(file, { settings: values, record }))
    await writeFile(file, `${await readFile(file, 'utf8')}more: 1\n`)
    await expect(rollbackValues(file, { settings: values, record })).rejects.toMatchObject({
      code: 'VALUES_CHANGED',
      message: expect.stringContaining('more: 1'),
    })
    expect(await readFile(`${file}.airgap-backup`, 'utf8')).toBe(original)
  })

  it('refuses a file edited since it was planned, with a difference and without secrets (fault 98)', async () => {
    const plan = await planValues(file, { settings: values, record })
    await writeFile(file, original.replace('hunter2', 'hunter3').replace('old:1', 'other:2'))
    const error = await applyValues(plan).catch(caught => caught)
    expect(error).toMatchObject({ code: 'VALUES_CHANGED', exitCode: 2, item: file })
    expect(error.message).toContain('+ 3:   registry: other:2')
    expect(error.message).not.toContain('hunter')
    expect(await readFile(file, 'utf8')).toContain('hunter3')
    expect(await readdir(folder)).toEqual(['values.yaml'])
  })

  it('does not follow a symbolic link in place of the file (fault 99)', async () => {
    const target = join(folder, 'elsewhere')
    await writeFile(target, original)
    const plan = await planValues(file, { settings: values, record })
    await rm(file)
    await symlink(target, file)
    await expect(planValues(file, { settings: values, record })).rejects.toMatchObject({
      code: 'VALUES_INVALID',
      item: file,
    })
    await expect(applyValues(plan)).rejects.toMatchObject({ code: 'VALUES_INVALID', item: file })
    expect(await readFile(target, 'utf8')).toBe(original)
    expect((await lstat(file)).isSymbolicLink()).toBe(true)
  })

  it('does not write through a symbolic link in place of the backup (fault 99)', async () => {
    const target = join(folder, 'elsewhere')
    await writeFile(target, 'precious')
    await symlink(target, `${file}.airgap-backup`)
    await expect(planValues(file, { settings: values, record }).then(applyValues)).rejects.toMatchObject({
      code: 'VALUES_INVALID',
    })
    expect(await readFile(target, 'utf8')).toBe('precious')
    expect(await readFile(file, 'utf8')).toBe(original)
  })

  it('changes nothing without a backup (fault 100)', async () => {
    const plan = await planValues(file, { settings: values, record })
    // a missing folder: root can write to any other
    const error = await applyValues({ ...plan, backup: join(folder, 'missing', 'backup') }).catch(
      caught => caught,
    )
    expect(error).toMatchObject({
      message: expect.stringContaining('backup cannot be written'),
      next: expect.stringContaining('unchanged'),
    })
    expect(await readFile(file, 'utf8')).toBe(original)
    expect(await readdir(folder)).toEqual(['values.yaml'])
  })

  it('changes nothing in a read-only folder (fault 100)', async () => {
    const plan = await planValues(file, { settings: values, record })
    await chmod(state, 0o777)
    await chmod(folder, 0o555)
    const error = await withoutPrivileges(() => applyValues(plan).catch((reason: unknown) => reason))
    await chmod(folder, 0o755)
    expect(error).toMatchObject({ code: 'PERMISSION', item: expect.stringContaining(folder) })
    expect(await readFile(file, 'utf8')).toBe(original)
    expect(await readdir(folder)).toEqual(['values.yaml'])
  })

  it.each([
    ['missing', async () => rm(file), 'FILE_NOT_FOUND'],
    ['not UTF-8', async () => writeFile(file, Buffer.from([0xff, 0xfe, 0x41])), 'VALUES_INVALID'],
    ['a folder', async () => rm(file).then(() => symlink('.', file)), 'VALUES_INVALID'],
  ])('refuses a file that is %s', async (_, make, code) => {
    await make()
    await expect(planValues(file, { settings: values, record })).rejects.toMatchObject({ code })
  })

  it('refuses values of 20 MiB and aliases that multiply (fault 59)', async () => {
    await writeFile(file, `a: "${'x'.repeat(20 << 20)}"\n`)
    await expect(planValues(file, { settings: values, record })).rejects.toMatchObject({
      code: 'VALUES_INVALID',
    })
    const levels = Array.from(
      { length: 30 },
      (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`,
    )
    await writeFile(file, ['a0: &a0 [lol]', ...levels, original].join('\n'))
    await expect(planValues(file, { settings: values, record })).rejects.toMatchObject({
      code: 'VALUES_INVALID',
    })
    await writeFile(file, '['.repeat(100_000))
    await expect(planValues(file, { settings: values, record })).rejects.toMatchObject({
      code: 'VALUES_INVALID',
    })
  })
})
