import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wordsOf } from '../../src/signature/key-words.ts'
import {
  isSignedBy,
  minisignKeyFile,
  minisignKeyText,
  parsePublicKeys,
  pemKeyFile,
  publicKeyOf,
  sshKeyText,
} from '../../src/signature/public-key.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { minisignKey, run, sshKey } from './stock.ts'

function keyPair() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(12)
  return { key: publicKeyOf(raw), privateKey }
}

const { key, privateKey } = keyPair()
const folder = () => mkdtempSync(join(tmpdir(), 'airgap-key-'))

describe('a public key', () => {
  it.each([
    ['minisign', minisignKeyFile(key)],
    ['minisign, one line', minisignKeyText(key)],
    ['OpenSSH', `${sshKeyText(key)} builder@example\n`],
    ['allowed_signers', `builder@example namespaces="astrago-airgap" ${sshKeyText(key)} builder\n`],
    ['PEM', pemKeyFile(key)],
    ['several, with comments', `# two\n\n${sshKeyText(key)}\n${pemKeyFile(key)}`],
  ])('is read in the form of %s', (_, text) => {
    expect(parsePublicKeys(text, 'keys').map(({ fingerprint }) => fingerprint)).toEqual([key.fingerprint])
  })

  it('verifies what its secret key signed, and nothing else', () => {
    const message = Buffer.from('hello')
    const signature = sign(null, message, privateKey)
    expect(isSignedBy(key, { message, signature })).toBe(true)
    expect(isSignedBy(key, { message: Buffer.from('hallo'), signature })).toBe(false)
    expect(isSignedBy(keyPair().key, { message, signature })).toBe(false)
    expect(isSignedBy(key, { message, signature: signature.subarray(1) })).toBe(false)
  })

  it('has a fingerprint for people: twenty hex digits, and ten words of the same bytes', () => {
    expect(key.short).toMatch(/^([0-9A-F]{4} ){4}[0-9A-F]{4}$/)
    const bytes = Buffer.from(key.short.replaceAll(' ', ''), 'hex')
    expect(key.words).toBe(wordsOf(bytes).join(' '))
    expect(Buffer.from(key.fingerprint.slice(7), 'base64').subarray(0, 10)).toEqual(bytes)
    expect(key.id).toBe(bytes.toString('hex', 0, 4))
  })

  it.each([
    ['nothing', ''],
    ['only comments', '# none\n'],
    ['a key cut short', sshKeyText(key).slice(0, -2)],
    ['another type', 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ== x'],
    ['a secret key', privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()],
    [
      'an ECDSA key',
      generateKeyPairSync('ec', { namedCurve: 'P-256' })
        .publicKey.export({ format: 'pem', type: 'spki' })
        .toString(),
    ],
    ['a key without its padding', minisignKeyText(key).slice(0, -1)],
    ['a key under which anyone can sign', sshKeyText({ ...key, raw: Buffer.alloc(32) })],
    ['such a key with its sign bit set', minisignKeyText({ ...key, raw: Buffer.alloc(32).fill(0x80, 31) })],
    ['a file that is too large', '#\n'.repeat(40_000)],
    ['too many keys', Array.from({ length: 33 }, () => sshKeyText(keyPair().key)).join('\n')],
  ])('is refused if the file has %s', (_, text) => {
    expect(() => parsePublicKeys(text, 'keys')).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }))
  })

  it('is refused with the number of its line', () => {
    expect(() => parsePublicKeys(`# a\n${sshKeyText(key)}\nssh-rsa AAAA\n`, 'keys')).toThrow(
      expect.objectContaining({ item: 'keys:3' }),
    )
  })

  it('is never anything but a key or KEY_INVALID, whatever the text', () => {
    const text = minisignKeyFile(key) + sshKeyText(key)
    const edit = fc.record({
      at: fc.nat(text.length),
      cut: fc.nat(40),
      put: fc.string({ unit: 'binary', maxLength: 5 }),
    })
    fc.assert(
      fc.property(edit, ({ at, cut, put }) => {
        try {
          expect(
            parsePublicKeys(text.slice(0, at) + put + text.slice(at + cut), 'keys').length,
          ).toBeGreaterThan(0)
        } catch (error) {
          expect(error).toMatchObject({ code: 'KEY_INVALID' })
        }
      }),
      { numRuns: 1000 },
    )
  })
})

describe('words', () => {
  it('are 256, and no two share their first four letters', () => {
    const words = wordsOf(Uint8Array.from({ length: 256 }, (_, i) => i))
    expect(new Set(words.map(word => word.slice(0, 4))).size).toBe(256)
    expect(words.every(word => /^[a-z]{4,8}$/.test(word))).toBe(true)
  })
})

describe.skipIf(!hasTool('ssh-keygen'))('keys of ssh-keygen (needs ssh-keygen)', () => {
  it('have the fingerprint that it prints, and it reads ours', () => {
    const { publicFile } = sshKey(folder())
    const [found] = parsePublicKeys(readFileSync(publicFile, 'utf8'), publicFile)
    expect(run('ssh-keygen', ['-l', '-f', publicFile])).toContain(found!.fingerprint)
    writeFileSync(publicFile, `${sshKeyText(key)}\n`)
    expect(run('ssh-keygen', ['-l', '-f', publicFile])).toContain(key.fingerprint)
  })

  it('of other types are refused', () => {
    const { publicFile } = sshKey(folder(), { type: 'ecdsa' })
    expect(() => parsePublicKeys(readFileSync(publicFile, 'utf8'), publicFile)).toThrow(
      'not an Ed25519 public key',
    )
  })
})

describe.skipIf(!hasTool('minisign'))('keys of minisign (needs minisign)', () => {
  it('have an ID without leading zeros, as in its files', () => {
    // of a key that minisign 0.11 made
    const line = 'RWTe046IvfOJCqtB9XxHZlJDgQtq/9+njDP5PqsvVRJ2IdiihWtLIPh6'
    const [key] = parsePublicKeys(line, 'm.pub')
    expect(minisignKeyFile(key!)).toBe(`untrusted comment: minisign public key A89F3BD888ED3DE\n${line}\n`)
  })

  it('keep the ID that it gave them', () => {
    const at = folder()
    const { key: found } = minisignKey(at)
    expect(readFileSync(join(at, 'm.pub'), 'utf8')).toBe(minisignKeyFile(found))
  })
})

describe.skipIf(!hasTool('openssl'))('the PEM form (needs openssl)', () => {
  it('is what openssl reads', () => {
    const path = join(folder(), 'key.pem')
    writeFileSync(path, pemKeyFile(key))
    expect(run('openssl', ['pkey', '-pubin', '-in', path, '-noout', '-text'])).toContain('ED25519 Public-Key')
  })
})
