import { execFileSync } from 'node:child_process'
import { chmod, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { canMatch, checkPassword, generatePassword, hashPassword } from '../../src/access/passwords.ts'
import {
  checkUserName,
  parseUsersFile,
  readUsersFile,
  usersOf,
  writeUsersFile,
} from '../../src/access/users-file.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { tempFolder } from '../bundle/samples.ts'

const hash = `$2y$10$${'a'.repeat(53)}`

function parse(text: string | Uint8Array) {
  return parseUsersFile(typeof text === 'string' ? Buffer.from(text) : text, 'users')
}

describe('a users’ file', () => {
  it('has a role in the third field, and users without one may pull', () => {
    const users = usersOf(parse(`# people\na:${hash}:admin\n\nb:${hash}\r\n김:${hash}:push\n`))
    expect([...users.values()].map(({ name, role }) => [name, role])).toEqual([
      ['a', 'admin'],
      ['b', 'pull'],
      ['김', 'push'],
    ])
  })

  it('keeps comments and order when it is written', async () => {
    const path = join(await tempFolder(), 'users')
    await writeUsersFile({ ...parse(`# first\nb:${hash}:push\n\n# last\na:${hash}\n`), path })
    expect(await readFile(path, 'utf8')).toBe(`# first\nb:${hash}:push\n\n# last\na:${hash}:pull\n`)
    expect(usersOf(await readUsersFile(path)).size).toBe(2)
  })

  it.each([
    ['a:$apr1$salt$abcdefghijklmnopqrstuv', /stored as MD5/],
    ['a:$1$salt$abcdefghijklmnopqrstuv', /stored as MD5/],
    ['a:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', /stored as SHA-1/],
    ['a:rqXexS6ZhobKA', /stored with DES/],
    ['a:$6$rounds=5000$salt$hash', /SHA-crypt/],
    ['a:plain password', /plain text/],
    ['a:', /plain text, or damaged/],
    [`a:$2x$10$${'a'.repeat(53)}`, /outdated form of bcrypt/],
    [`a:$2y$31$${'a'.repeat(53)}`, /cost of the hash/],
    [`a:$2y$03$${'a'.repeat(53)}`, /cost of the hash/],
    [`a:${hash}:root`, /role of a is none of pull, push, admin/],
    [`a:${hash}:push:x`, /role/],
    [`a:${hash}:`, /role/],
    ['only a name', /not NAME:HASH/],
    [`:${hash}`, /is empty/],
    [`a:${hash}\na:${hash}`, /is in line 1, too/],
    [`a\u202e:${hash}`, /control characters/],
  ])('refuses the line %j', (line, message) => {
    expect(() => parse(`${line}\n`)).toThrow(message)
  })

  it('refuses bytes that are not UTF-8', () => {
    expect(() => parse(Buffer.from([0x61, 0xff, 0x3a]))).toThrow(/not UTF-8/)
  })

  it('is refused where others can read it, and where it is a link', async () => {
    const folder = await tempFolder()
    const path = join(folder, 'users')
    await writeFile(path, '', { mode: 0o640 })
    await chmod(path, 0o640)
    await expect(readUsersFile(path)).rejects.toMatchObject({ code: 'PERMISSION' })
    await symlink(path, join(folder, 'link'))
    await expect(readUsersFile(join(folder, 'link'))).rejects.toMatchObject({ code: 'VALUES_INVALID' })
  })

  it.skipIf(!hasTool('htpasswd'))('may come from htpasswd -B (needs htpasswd)', async () => {
    const path = join(await tempFolder(), 'users')
    execFileSync('htpasswd', ['-cbB', path, 'a', 'password'])
    await chmod(path, 0o600)
    expect(usersOf(await readUsersFile(path)).get('a')?.role).toBe('pull')
  })
})

describe('passwords', () => {
  it('are hashed as htpasswd writes them', async () => {
    const { default: bcrypt } = await import('bcryptjs')
    const made = await hashPassword('correct horse')
    expect(made).toMatch(/^\$2y\$10\$/)
    expect(bcrypt.compareSync('correct horse', made)).toBe(true)
  })

  it.each(['', 'short', 'p'.repeat(73), '말'.repeat(25), 'has\0zero!', 'same-name'])(
    'refuses %j',
    password => {
      expect(() => checkPassword(password, { name: 'same-name' })).toThrow(/the password/)
    },
  )

  it('longer than bcrypt reads match nothing', () => {
    expect(canMatch('p'.repeat(72))).toBe(true)
    expect(canMatch('p'.repeat(73))).toBe(false)
  })

  it('that are generated are accepted', () => {
    expect(() => checkPassword(generatePassword(), { name: 'a' })).not.toThrow()
  })
})

it.each(['', 'a:b', '#a', ' a', 'a\n', 'x'.repeat(256), '\u200b'])('%j is no name of a user', name => {
  expect(() => checkUserName(name)).toThrow(/name of a user/)
})
