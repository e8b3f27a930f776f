import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readSignedFiles, type SignatureFile, signaturePath } from '../../src/signature/files.ts'
import { parseMinisign } from '../../src/signature/minisign-signature.ts'
import type { PublicKey } from '../../src/signature/public-key.ts'
import { signersOf, verifySignatures } from '../../src/signature/verify.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { keyIn, minisign, minisignKey, sshKey, sshSign, writtenStatement } from './stock.ts'

async function verifyNextTo(bundle: string, keys: PublicKey[]) {
  const { statement, signatures } = (await readSignedFiles(bundle))!
  return verifySignatures(statement, { signatures, keys })
}

const invalid = expect.objectContaining({ code: 'SIGNATURE_INVALID' })

describe.skipIf(!hasTool('minisign'))('signatures of Debian’s minisign (needs minisign)', () => {
  it.each([
    ['prehashed (its default)', []],
    ['with a trusted comment', ['-t', 'sample 1.0.0']],
    ['legacy', ['-l']],
  ])('are good: %s', async (_, args) => {
    const { folder, bundle, sums } = writtenStatement()
    const { secret, key } = minisignKey(folder)
    minisign(sums, { secret, args })
    const { good, unknown } = await verifyNextTo(bundle, [minisignKey(folder, 'other').key, key])
    expect(unknown).toEqual([])
    expect(good).toMatchObject([{ format: 'minisign', path: `${sums}.minisig` }])
    expect(good[0]!.key.fingerprint).toBe(key.fingerprint)
    expect(good[0]!.trustedComment).toContain(args[1] ?? 'file:B.tar.sums')
  })

  it('by an unknown key count for nothing', async () => {
    const { folder, bundle, sums } = writtenStatement()
    minisign(sums, { secret: minisignKey(folder).secret })
    const report = await verifyNextTo(bundle, [minisignKey(folder, 'other').key])
    expect(report).toMatchObject({
      good: [],
      unknown: [{ format: 'minisign', hint: expect.stringMatching(/^[0-9A-F]{1,16}$/) }],
    })
    expect(signersOf(report)).toEqual([])
  })

  it('are wrong after a change of the statement, the signature, the comment or the global signature', async () => {
    const { folder, bundle, sums, bytes } = writtenStatement()
    const { secret, key } = minisignKey(folder)
    minisign(sums, { secret })
    const path = `${sums}.minisig`
    const good = readFileSync(path, 'utf8')
    const change = (line: number, edit: (text: string) => string) =>
      good
        .split('\n')
        .map((text, i) => (i === line ? edit(text) : text))
        .join('\n')
    const flip = (text: string) => text.slice(0, 40) + (text[40] === 'A' ? 'B' : 'A') + text.slice(41)
    for (const bad of [change(1, flip), change(2, text => `${text}x`), change(3, flip)]) {
      writeFileSync(path, bad)
      await expect(verifyNextTo(bundle, [key])).rejects.toThrow(invalid)
    }
    writeFileSync(path, good)
    writeFileSync(sums, Buffer.from(bytes.toString().replace('1.0.0', '1.0.1')))
    await expect(verifyNextTo(bundle, [key])).rejects.toThrow('the signature is wrong')
  })

  it('have one form: every other file is refused, never a crash', () => {
    const { folder, sums, bytes } = writtenStatement()
    const { secret, key } = minisignKey(folder)
    minisign(sums, { secret })
    fuzz(
      { path: `${sums}.minisig`, format: 'minisign', bytes: readFileSync(`${sums}.minisig`) },
      { statement: bytes, key },
    )
  })
})

describe.skipIf(!hasTool('ssh-keygen'))('signatures of OpenSSH (needs ssh-keygen)', () => {
  it('are good', async () => {
    const { folder, bundle, sums } = writtenStatement()
    const { secret, publicFile } = sshKey(folder)
    sshSign(sums, { secret })
    const key = keyIn(publicFile)
    const report = await verifyNextTo(bundle, [key])
    expect(report.unknown).toEqual([])
    expect(report.good.map(({ format, key: { fingerprint } }) => [format, fingerprint])).toEqual([
      ['ssh', key.fingerprint],
    ])
  })

  it('by an unknown key are reported with that key, and count for nothing', async () => {
    const { folder, bundle, sums } = writtenStatement()
    const { secret, publicFile } = sshKey(folder)
    sshSign(sums, { secret })
    const { good, unknown } = await verifyNextTo(bundle, [])
    expect(good).toEqual([])
    expect(unknown[0]!.key!.fingerprint).toBe(keyIn(publicFile).fingerprint)
  })

  it.each([
    ['for another purpose', ['-n', 'file'], 'ed25519'],
    ['with another hash', ['-n', 'astrago-airgap', '-O', 'hashalg=sha256'], 'ed25519'],
    ['by a key of another type', ['-n', 'astrago-airgap'], 'ecdsa'],
  ])('are refused %s', async (_, args, type) => {
    const { folder, bundle, sums } = writtenStatement()
    sshSign(sums, { secret: sshKey(folder, { type }).secret, args })
    await expect(verifyNextTo(bundle, [])).rejects.toThrow('not a signature in the format of ssh')
  })

  it('are wrong after a change of the statement, also by an unknown key', async () => {
    const { folder, bundle, sums, bytes } = writtenStatement()
    sshSign(sums, { secret: sshKey(folder).secret })
    writeFileSync(sums, Buffer.from(bytes.toString().replace('1.0.0', '1.0.1')))
    await expect(verifyNextTo(bundle, [])).rejects.toThrow('the signature is wrong')
  })

  it('have one form: every other file is refused, never a crash', () => {
    const { folder, sums, bytes } = writtenStatement()
    const { secret, publicFile } = sshKey(folder)
    sshSign(sums, { secret })
    fuzz(
      { path: `${sums}.sig`, format: 'ssh', bytes: readFileSync(`${sums}.sig`) },
      { statement: bytes, key: keyIn(publicFile) },
    )
  })
})

/** Edits the file: it is refused, or its signature is still the same one (only a comment changed). */
function fuzz(file: SignatureFile, { statement, key }: { statement: Buffer; key: PublicKey }): void {
  const verify = (bytes: Buffer) =>
    verifySignatures(statement, { signatures: [{ ...file, bytes }], keys: [key] })
  expect(verify(file.bytes).good).toHaveLength(1)
  const edit = fc.record({
    at: fc.nat(file.bytes.length - 1),
    cut: fc.nat(3),
    put: fc.uint8Array({ maxLength: 3 }),
  })
  fc.assert(
    fc.property(edit, ({ at, cut, put }) => {
      const bytes = Buffer.concat([file.bytes.subarray(0, at), put, file.bytes.subarray(at + cut)])
      try {
        const { good } = verify(bytes)
        if (good.length > 0) expect(signedPart(bytes)).toEqual(signedPart(file.bytes))
      } catch (error) {
        expect(error).toMatchObject({ code: 'SIGNATURE_INVALID' })
      }
    }),
    { numRuns: 500 },
  )
}

/** What the key signed: neither the untrusted comment and the key ID of minisign, nor line ends. */
function signedPart(bytes: Buffer): unknown {
  const minisigned = parseMinisign(bytes)
  return minisigned === undefined
    ? bytes.toString('latin1').replaceAll('\n', '')
    : { ...minisigned, keyId: undefined }
}

describe.skipIf(!hasTool('minisign') || !hasTool('ssh-keygen'))(
  'the files next to a bundle (needs minisign and ssh-keygen)',
  () => {
    it('are found for several signers; a signer counts once', async () => {
      const { folder, bundle, sums } = writtenStatement()
      const first = minisignKey(folder)
      const second = sshKey(folder)
      minisign(sums, { secret: first.secret })
      const copy = signaturePath(sums, { format: 'minisign', id: first.key.id })
      writeFileSync(copy, readFileSync(`${sums}.minisig`))
      sshSign(sums, { secret: second.secret })
      const report = await verifyNextTo(bundle, [first.key, keyIn(second.publicFile)])
      expect(report.good).toHaveLength(3)
      expect(signersOf(report)).toHaveLength(2)
    })

    it('of another bundle in the same folder are left alone', async () => {
      const { folder, bundle } = writtenStatement()
      for (const name of [
        'B.tar.sums.txt',
        'C.tar.sums.sig',
        'B.tar.sums.sig.tmp',
        'B.tar.sums.xyz.sig',
        'XB.tar.sums.sig',
      ])
        writeFileSync(join(folder, name), 'x')
      expect((await readSignedFiles(bundle))!.signatures).toEqual([])
    })

    it('are next to the file that a link leads to', async () => {
      const { folder, bundle, sums } = writtenStatement()
      writeFileSync(`${sums}.sig`, 'x')
      symlinkSync(bundle, join(folder, 'current.tar'))
      writeFileSync(bundle, '')
      expect(await readSignedFiles(join(folder, 'current.tar'))).toMatchObject({
        path: sums,
        signatures: [{ path: `${sums}.sig` }],
      })
    })

    it('are undefined for an unsigned bundle, but signatures without a statement are refused', async () => {
      const { bundle, sums } = writtenStatement()
      writeFileSync(`${sums}.sig`, 'x')
      rmSync(sums)
      await expect(readSignedFiles(bundle)).rejects.toThrow(
        'there are signatures, but not the file that they sign',
      )
      rmSync(`${sums}.sig`)
      expect(await readSignedFiles(bundle)).toBeUndefined()
    })

    it.each<[string, (path: string) => void]>([
      ['a symbolic link', path => symlinkSync('/etc/hostname', path)],
      ['too large', path => writeFileSync(path, Buffer.alloc(1 << 20))],
      ['a folder', path => mkdirSync(path)],
    ])('are refused if the statement is %s', async (_, spoil) => {
      const { bundle, sums } = writtenStatement()
      rmSync(sums)
      spoil(sums)
      await expect(readSignedFiles(bundle)).rejects.toThrow(invalid)
    })

    it('are refused in a number that exhausts the machine', async () => {
      const { folder, bundle } = writtenStatement()
      for (let i = 0; i < 97; i++)
        writeFileSync(join(folder, `B.tar.sums.${i.toString(16).padStart(8, '0')}.sig`), 'x')
      await expect(readSignedFiles(bundle)).rejects.toThrow(invalid)
    })
  },
)
