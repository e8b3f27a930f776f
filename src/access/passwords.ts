import { randomInt } from 'node:crypto'
import { AirgapError } from '../core/errors.ts'

/** of new hashes; each step doubles the time of a check. OWASP's "Password Storage Cheat Sheet" names 10 as the least. */
const cost = 10

/** bcrypt ignores what follows (its key is 72 bytes with the final zero of C, 72 without) */
const maxBytes = 72
const minLength = 8 /* characters */

/** Throws USAGE for a password that bcrypt would cut off, or that is too short. */
export function checkPassword(password: string, { name }: { name: string }): void {
  const why = passwordFault(password, name)
  if (why === undefined) return
  throw new AirgapError('USAGE', `the password ${why}`, {
    item: name,
    next: 'choose another one, or have one generated with --generate',
  })
}

/** Whether a password can be one at all: what is longer matches a shorter one, as bcrypt ignores the rest. */
export function canMatch(password: string): boolean {
  return password !== '' && Buffer.byteLength(password) <= maxBytes && !password.includes('\0')
}

/** Returns a hash as `htpasswd -B` writes it. Takes about 70 ms of CPU time. */
export async function hashPassword(password: string): Promise<string> {
  const { default: bcrypt } = await import('bcryptjs')
  const hash = await bcrypt.hash(password, cost)
  // the same algorithm; $2y$ is the name that Apache and nginx know
  return hash.replace(/^\$2b\$/, '$2y$')
}

/** Returns a hash of the same cost that no password matches: checking against it takes as long as against a real one. */
export function unmatchable(hash: string | undefined): string {
  const prefix = hash === undefined ? `$2y$${cost}$` : hash.slice(0, 7)
  return `${prefix}${'.'.repeat(53)}`
}

/** Returns a password of 20 letters and digits in groups, without those that look alike: 115 bits. */
export function generatePassword(): string {
  const alphabet = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789'
  const letters = Array.from({ length: 20 }, () => alphabet[randomInt(alphabet.length)]!)
  return [0, 5, 10, 15].map(at => letters.slice(at, at + 5).join('')).join('-')
}

function passwordFault(password: string, name: string): string | undefined {
  if (password === '') return 'is empty'
  if ([...password].length < minLength) return `is shorter than ${minLength} characters`
  if (Buffer.byteLength(password) > maxBytes)
    return `is longer than ${maxBytes} bytes, which bcrypt would cut off`
  if (/[\p{Cc}]/u.test(password)) return 'contains control characters'
  if (password === name) return 'is the name of the user'
  return undefined
}
