import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { blake2b, blake2b256 } from '../../src/signature/blake2b.ts'
import { newSecretKey, openSecretKey, scryptParameters } from '../../src/signature/minisign-secret-key.ts'
import { openSigners, type SecretSources } from '../../src/signature/open-signer.ts'
import { isSignedBy, minisignKeyFile, publicKeyOf } from '../../src/signature/public-key.ts'
import { commandSigner } from '../../src/signature/signer.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { minisignKey, run } from './stock.ts'

const cheap = { operations: 32_768, memory: 2 ** 24 }
const message = Buffer.from('message')
const folder = () => mkdtempSync(join(tmpdir(), 'airgap-secret-'))
const askPassword = (password: string) => async () => password
const noPassword = () => Promise.reject(new Error('must not ask'))

function sources(changes: Partial<SecretSources> = {}): SecretSources {
  return {
    environment: {},
    askSecret: undefined,
    stdin: (async function* () {})(),
    signal: new AbortController().signal,
    ...changes,
  }
}

async function* streamOf(text: string) {
  yield Buffer.from(text)
}

describe('BLAKE2b', () => {
  it('has the digest of RFC 7693, appendix A, and that of Node.js for every length of message', () => {
    for (const length of [0, 1, 64, 127, 128, 129, 256, 1000]) {
      const bytes = randomBytes(length)
      expect(blake2b(bytes, 64)).toEqual(createHash('blake2b512').update(bytes).digest())
    }
    // https://github.com/BLAKE2/BLAKE2, testvectors: another length is another hash
    expect(blake2b256(Buffer.from('abc')).toString('hex')).toBe(
      'bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319',
    )
  })
})

describe('the parameters of scrypt', () => {
  it.each([
    ['minisign’s own', { operations: 2 ** 25, memory: 2 ** 30 }, { N: 2 ** 20, r: 8, p: 1 }],
    ['ours', { operations: 2 ** 23, memory: 2 ** 28 }, { N: 2 ** 18, r: 8, p: 1 }],
    ['libsodium’s for logins', { operations: 2 ** 19, memory: 2 ** 24 }, { N: 2 ** 14, r: 8, p: 1 }],
    ['more memory than operations', { operations: 32_768, memory: 2 ** 28 }, { N: 2 ** 10, r: 8, p: 1 }],
  ])('are libsodium’s: %s', (_, cost, parameters) => {
    expect(scryptParameters(cost)).toEqual(parameters)
  })
})

describe('a secret key file', () => {
  it('opens with its password, and signs', async () => {
    const { text, publicKey } = await newSecretKey('correct horse', cheap)
    const signer = await openSecretKey(text, { item: 'k', askPassword: askPassword('correct horse') })
    expect(signer.key).toEqual(publicKey)
    expect(isSignedBy(publicKey, { message, signature: await signer.sign(message) })).toBe(true)
    await expect(openSecretKey(text, { item: 'k', askPassword: askPassword('wrong') })).rejects.toMatchObject(
      {
        code: 'KEY_INVALID',
        likely: 'the password is wrong, or the file is damaged',
      },
    )
  })

  it('without encryption needs no password', async () => {
    const { text, publicKey } = await newSecretKey(undefined)
    const signer = await openSecretKey(text, { item: 'k', askPassword: noPassword })
    expect(signer.key.fingerprint).toBe(publicKey.fingerprint)
  })

  it('is refused if it is damaged, another file, or would exhaust the machine', async () => {
    const { text } = await newSecretKey('x', cheap)
    const [comment, line] = text.split('\n')
    const change = (at: number) => {
      const bytes = Buffer.from(line!, 'base64')
      bytes[at]! ^= 0x55
      return `${comment}\n${bytes.toString('base64')}\n`
    }
    // algorithms, salt, operations, memory, key, public key, checksum
    const bad = ['', 'x', `${text}more`, line!, ...[0, 2, 4, 10, 43, 51, 70, 130, 157].map(change)]
    for (const one of bad)
      await expect(openSecretKey(one, { item: 'k', askPassword: askPassword('x') })).rejects.toMatchObject({
        code: 'KEY_INVALID',
      })
  })

  it('of an OpenSSH or PEM key is refused with a way out', async () => {
    const next = expect.stringContaining('--sign-command')
    for (const text of ['-----BEGIN OPENSSH PRIVATE KEY-----\nx\n', '-----BEGIN PRIVATE KEY-----\nx\n'])
      await expect(openSecretKey(text, { item: 'k', askPassword: noPassword })).rejects.toMatchObject({
        next,
      })
  })
})

describe.skipIf(!hasTool('minisign'))('secret keys and Debian’s minisign (needs minisign)', () => {
  it('reads ours with the password', async () => {
    const at = folder()
    const { text, publicKey } = await newSecretKey('sesame', cheap)
    writeFileSync(join(at, 'ours.key'), text, { mode: 0o600 })
    writeFileSync(join(at, 'ours.pub'), minisignKeyFile(publicKey))
    writeFileSync(join(at, 'file'), 'content')
    const sign = ['-S', '-s', join(at, 'ours.key'), '-m', join(at, 'file')]
    execFileSync('minisign', sign, { input: 'sesame\n', stdio: ['pipe', 'pipe', 'pipe'] })
    expect(run('minisign', ['-V', '-p', join(at, 'ours.pub'), '-m', join(at, 'file')])).toContain('verified')
  })

  it('writes keys that we read, with the ID that it chose', async () => {
    const { secret, key } = minisignKey(folder())
    const [signer] = await openSigners({ keys: [secret] }, sources())
    expect(signer!.key).toEqual(key)
    expect(key.minisignId).not.toEqual(publicKeyOf(key.raw).minisignId)
  })
})

describe('opening keys', () => {
  async function keyFile(password?: string) {
    const at = folder()
    const made = await newSecretKey(password, cheap)
    const path = join(at, 'k.key')
    writeFileSync(path, made.text, { mode: 0o600 })
    return { at, path, ...made }
  }

  it('takes them from a file, standard input and the environment', async () => {
    const { path, text, publicKey } = await keyFile()
    const at = sources({ stdin: streamOf(text), environment: { KEY: text } })
    for (const written of [path, '-', 'env:KEY']) {
      const [signer] = await openSigners({ keys: [written] }, at)
      expect(signer!.key.fingerprint).toBe(publicKey.fingerprint)
    }
  })

  it('takes the password from a file, standard input, the environment and the terminal', async () => {
    const { at, path } = await keyFile('pw')
    writeFileSync(join(at, 'pw'), 'pw\n', { mode: 0o600 })
    const keys = [path]
    const asked: string[] = []
    const askSecret = async (question: string) => {
      asked.push(question)
      return 'pw'
    }
    await openSigners({ keys, passwordFile: join(at, 'pw') }, sources())
    await openSigners({ keys, passwordFile: '-' }, sources({ stdin: streamOf('pw\n') }))
    await openSigners(
      { keys },
      sources({ environment: { AIRGAP_SIGN_PASSWORD: 'pw' }, askSecret: noPassword }),
    )
    await openSigners({ keys }, sources({ askSecret }))
    expect(asked).toEqual([`Password of ${path}: `])
    await expect(openSigners({ keys }, sources())).rejects.toMatchObject({ code: 'USAGE' })
  })

  it.each([0o640, 0o604, 0o622, 0o666])('refuses a key or password file of mode %o', async mode => {
    const { at, path } = await keyFile('pw')
    const passwordFile = join(at, 'pw')
    writeFileSync(passwordFile, 'pw\n', { mode: 0o600 })
    chmodSync(passwordFile, mode)
    await expect(openSigners({ keys: [path], passwordFile }, sources())).rejects.toMatchObject({
      code: 'KEY_INVALID',
    })
    chmodSync(path, mode)
    await expect(openSigners({ keys: [path] }, sources())).rejects.toMatchObject({
      code: 'KEY_INVALID',
      next: `run: chmod 600 ${path} (of such a medium: copy it to a disk first)`,
    })
  })

  it('refuses the same key twice, standard input twice, and what is not there', async () => {
    const { at, path, text } = await keyFile()
    await expect(
      openSigners({ keys: [path, 'env:K'] }, sources({ environment: { K: text } })),
    ).rejects.toMatchObject({
      message: 'two of the keys are the same',
    })
    await expect(openSigners({ keys: ['-'], passwordFile: '-' }, sources())).rejects.toMatchObject({
      code: 'USAGE',
    })
    await expect(openSigners({ keys: ['env:NONE'] }, sources())).rejects.toMatchObject({ item: 'NONE' })
    await expect(openSigners({ keys: [join(at, 'none')] }, sources())).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    })
    writeFileSync(join(at, 'large'), 'x'.repeat(70_000), { mode: 0o600 })
    await expect(openSigners({ keys: [join(at, 'large')] }, sources())).rejects.toMatchObject({
      code: 'KEY_INVALID',
    })
    await expect(
      openSigners({ keys: ['-'] }, sources({ stdin: streamOf('x'.repeat(70_000)) })),
    ).rejects.toMatchObject({
      code: 'KEY_INVALID',
    })
  })

  it('names nothing of the key or the password in any message', async () => {
    const { text } = await keyFile('topsecret')
    const environment = { KEY: text, AIRGAP_SIGN_PASSWORD: 'wrongsecret' }
    const error = await openSigners({ keys: ['env:KEY'] }, sources({ environment })).catch(reason => reason)
    expect(JSON.stringify(error)).not.toMatch(/secret(?!s? key|s? of)/i)
  })
})

describe.skipIf(!hasTool('openssl'))('a command that signs (needs openssl)', () => {
  const { signal } = new AbortController()

  function opensslKey() {
    const at = folder()
    run('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', join(at, 'k.pem')])
    run('openssl', ['pkey', '-in', join(at, 'k.pem'), '-pubout', '-out', join(at, 'k.pub')])
    const raw = `cat >"${at}/in" && openssl pkeyutl -sign -rawin -inkey "${at}/k.pem" -in "${at}/in"`
    return { at, raw }
  }

  it.each([
    ['64 bytes', ''],
    ['base64', ' | base64'],
  ])('signs what it gets on standard input: %s', async (_, encode) => {
    const { at, raw } = opensslKey()
    const request = { keys: [], command: `${raw}${encode}`, publicKey: join(at, 'k.pub') }
    const [signer] = await openSigners(request, sources())
    expect(isSignedBy(signer!.key, { message, signature: await signer!.sign(message) })).toBe(true)
  })

  it.each([
    ['writes nothing', 'true'],
    ['writes something else', 'head -c 64 /dev/zero'],
    ['writes without end', 'head -c 100000000 /dev/zero'],
    ['does not read its input', 'exec <&-; echo x'],
  ])('is refused if it %s', async (_, command) => {
    const { publicKey } = await newSecretKey(undefined)
    await expect(
      commandSigner(command, { key: publicKey, signal }).sign(Buffer.alloc(200_000)),
    ).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
    })
  })

  it('is reported with what it printed if it fails', async () => {
    const { publicKey } = await newSecretKey(undefined)
    await expect(
      commandSigner('echo "no such \u001b[1mtoken" >&2; exit 3', { key: publicKey, signal }).sign(message),
    ).rejects.toMatchObject({
      code: 'STEP_FAILED',
      likely: 'no such token',
      message: expect.stringContaining('3'),
    })
  })

  it('requires its public key, and only one', async () => {
    await expect(openSigners({ keys: [], command: 'true' }, sources())).rejects.toMatchObject({
      code: 'USAGE',
    })
  })
})
