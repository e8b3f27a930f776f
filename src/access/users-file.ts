import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import { readGuarded, replaceGuarded } from '../core/guarded-file.ts'
import { printableLine } from '../core/printable.ts'
import { defaultRole, type Role, roles } from './roles.ts'

/** A line of the users' file: `NAME:HASH[:ROLE]`, as htpasswd(1) writes it, with a field that Apache and nginx ignore. */
export interface User {
  name: string
  /** bcrypt: `$2y$10$…` */
  hash: string
  role: Role
}

/** The file as it is: comments and order stay where a user is changed. */
export interface UsersFile {
  path: string
  /** each line is a user, or a comment or an empty line as it was written */
  lines: (User | string)[]
}

const maxSize = 4 << 20 /* bytes */
const maxName = 255 /* bytes, as htpasswd(1) */

/** one more hash would take seconds of CPU time at each login */
const maxCost = 14
/** bcrypt has no smaller one */
const minCost = 4

/** Returns the users, by name. */
export function usersOf({ lines }: UsersFile): Map<string, User> {
  return new Map(lines.flatMap(line => (typeof line === 'string' ? [] : [[line.name, line]])))
}

/**
 * Reads the users' file; one that does not exist has no users. Throws PERMISSION where other users of this machine can read or replace it
 * (passwords can be guessed from hashes), SITE_INVALID for what is not a line of this form, and for hashes other than bcrypt.
 */
export async function readUsersFile(path: string): Promise<UsersFile> {
  const file = await readGuarded(path, maxSize)
  if (file === undefined) return { path, lines: [] }
  if ((file.mode & 0o077) !== 0)
    throw new AirgapError('PERMISSION', 'other users can read the passwords’ hashes', {
      item: path,
      likely: 'the file was copied or restored without its mode',
      next: `chmod 600 ${path}; set new passwords with \`offline-deploy users password\` if others may have read it`,
    })
  return parseUsersFile(file.bytes, path)
}

export function parseUsersFile(bytes: Uint8Array, path: string): UsersFile {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw invalid(path, 'the users’ file is not UTF-8', { cause })
  }
  const names = new Map<string, number>()
  const written = text.split(/\r?\n/)
  if (written.at(-1) === '') written.pop()
  const lines = written.map((line, i) => {
    const item = `${path}:${i + 1}`
    if (line.trim() === '' || line.startsWith('#')) return line
    const user = parseLine(line, item)
    const before = names.get(user.name)
    if (before !== undefined)
      throw invalid(item, `the user ${shown(user.name)} is in line ${before}, too`, {
        next: 'remove one of both lines',
      })
    names.set(user.name, i + 1)
    return user
  })
  return { path, lines }
}

/** Replaces the file, mode 0600, with the owner of its folder: a service that runs as another user than root reads it. Throws PERMISSION, NO_SPACE. */
export async function writeUsersFile({ path, lines }: UsersFile): Promise<void> {
  const text = lines.map(line => (typeof line === 'string' ? line : lineOf(line))).join('\n')
  const { uid, gid } = await stat(dirname(path))
  await replaceGuarded(path, text === '' ? '' : `${text}\n`, { mode: 0o600, uid, gid })
}

/** Throws USAGE for a name that cannot be one: a colon ends the name in the file, and in what a client sends (RFC 7617 section 2). */
export function checkUserName(name: string): string {
  const normal = name.normalize('NFC')
  const why = nameFault(normal)
  if (why === undefined) return normal
  throw new AirgapError('USAGE', `the name of a user ${why}`, {
    item: JSON.stringify(name.slice(0, 300)),
    next: 'choose letters, digits and . _ - @',
  })
}

function lineOf({ name, hash, role }: User): string {
  return `${name}:${hash}:${role}`
}

function parseLine(line: string, item: string): User {
  const [written = '', hash, role = defaultRole, ...rest] = line.split(':')
  const name = written.normalize('NFC')
  if (hash === undefined) throw invalid(item, 'the line is not NAME:HASH or NAME:HASH:ROLE')
  const fault = nameFault(name)
  if (fault !== undefined) throw invalid(item, `the name of a user ${fault}`)
  const weak = weakScheme(hash)
  if (weak !== undefined)
    throw invalid(item, `the password of ${shown(name)} is stored ${weak}; only bcrypt is accepted`, {
      likely: 'the line was written by htpasswd without -B',
      next: `set a password again: \`offline-deploy users password ${shown(name)}\`, or htpasswd -B`,
    })
  const cost = Number(hash.slice(4, 6))
  if (cost < minCost || cost > maxCost)
    throw invalid(item, `the cost of the hash of ${shown(name)} is not between ${minCost} and ${maxCost}`, {
      likely: cost > maxCost ? 'checking it would take seconds' : 'the line is damaged',
      next: `set the password again: \`offline-deploy users password ${shown(name)}\``,
    })
  if (rest.length > 0 || !isRole(role))
    throw invalid(item, `the role of ${shown(name)} is none of ${roles.join(', ')}`, {
      next: `set the role: \`offline-deploy users add ${shown(name)} --role push\` after \`offline-deploy users remove ${shown(name)}\`, or edit the line`,
    })
  return { name, hash, role }
}

/** Returns the scheme of a hash that is not bcrypt, as crypt(5) and htpasswd(1) name them; undefined for bcrypt. */
function weakScheme(hash: string): string | undefined {
  if (/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) return undefined
  if (hash.startsWith('$2')) return 'as a damaged or outdated form of bcrypt'
  if (hash.startsWith('$apr1$') || hash.startsWith('$1$')) return 'as MD5'
  if (hash.startsWith('{SHA}') || hash.startsWith('{SSHA}')) return 'as SHA-1'
  if (/^\$[56]\$/.test(hash)) return 'as SHA-crypt, which this server does not support'
  if (/^\$(?:y|gy|7|argon2\w*)\$/.test(hash)) return 'in a scheme that this server does not support'
  return /^[./A-Za-z0-9]{13}$/.test(hash) ? 'with DES (crypt)' : 'as plain text, or damaged'
}

function nameFault(name: string): string | undefined {
  if (name === '') return 'is empty'
  if (Buffer.byteLength(name) > maxName) return `is longer than ${maxName} bytes`
  if (name.includes(':')) return 'contains a colon'
  if (name.startsWith('#')) return 'starts with #, which starts a comment'
  if (name !== name.trim() || printableLine(name, maxName) !== name)
    return 'contains control characters, or spaces at its ends'
  return undefined
}

function isRole(text: string): text is Role {
  return (roles as readonly string[]).includes(text)
}

function shown(name: string): string {
  return printableLine(name, 64)
}

function invalid(
  item: string,
  what: string,
  details: { likely?: string; next?: string; cause?: unknown } = {},
): AirgapError {
  return new AirgapError('SITE_INVALID', what, {
    item,
    likely: 'the file was edited by hand',
    next: 'correct the line, or remove it and add the user with `offline-deploy users add`',
    ...details,
  })
}
