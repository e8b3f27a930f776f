import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readSignedFiles, type SignatureFormat, signatureFormats } from '../../src/signature/files.ts'
import { newSecretKey, openSecretKey } from '../../src/signature/minisign-secret-key.ts'
import { planSigning, signBundle } from '../../src/signature/sign-bundle.ts'
import type { Signer } from '../../src/signature/signer.ts'
import { signersOf, verifySignatures } from '../../src/signature/verify.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { minisign, minisignKey, sample, sshKey, sshSign, writtenStatement } from './stock.ts'

async function newSigner(): Promise<Signer> {
  const { text } = await newSecretKey(undefined)
  return await openSecretKey(text, { item: 'k', askPassword: async () => '' })
}

const now = new Date('2026-11-27T03:20:00Z')

interface Changes {
  formats?: SignatureFormat[]
  version?: string
  expires?: string
  now?: Date
  stale?: 'refuse' | 'replace'
}

/** Signs the sample as if it were a bundle of this content. */
function options(signers: Signer[], { version = '1.0.0', expires, ...changes }: Changes = {}) {
  const { name, index, files } = sample()
  const content = { name, version, index, files }
  return { content, signers, formats: signatureFormats, now, expires, stale: 'refuse' as const, ...changes }
}

function empty() {
  const { folder, bundle, sums } = writtenStatement()
  rmSync(sums)
  return { folder, bundle, sums }
}

async function signersNextTo(bundle: string, signers: Signer[]) {
  const { statement, signatures } = (await readSignedFiles(bundle))!
  return signersOf(verifySignatures(statement, { signatures, keys: signers.map(({ key }) => key) })).length
}

describe('signing a bundle', () => {
  it('writes the statement, every signature, and what to type', async () => {
    const { folder, bundle } = empty()
    const signers = [await newSigner()]
    const { signatures } = await signBundle(bundle, options(signers))
    expect(readdirSync(folder).sort()).toEqual([
      'B.tar.sums',
      'B.tar.sums.minisig',
      'B.tar.sums.sig',
      'B.tar.sums.sigstore.json',
      'B.tar.verify.txt',
    ])
    expect(signatures).toHaveLength(3)
    expect(await signersNextTo(bundle, signers)).toBe(1)
  })

  it('again, later, by the same key changes the statement in nothing', async () => {
    const { folder, bundle, sums } = empty()
    const signers = [await newSigner()]
    await signBundle(bundle, options(signers))
    const before = readFileSync(sums)
    const names = readdirSync(folder)
    await signBundle(bundle, options(signers, { now: new Date('2027-01-01T00:00:00Z') }))
    expect(readFileSync(sums)).toEqual(before)
    expect(readdirSync(folder)).toEqual(names)
  })

  it('by others adds files with the IDs of their keys', async () => {
    const { bundle } = empty()
    const signers = [await newSigner(), await newSigner(), await newSigner()]
    await signBundle(bundle, options([signers[0]!]))
    const { signatures } = await signBundle(
      bundle,
      options(signers.slice(1), { formats: ['minisign', 'ssh'] }),
    )
    const { id } = signers[2]!.key
    expect(signatures.map(({ path }) => basename(path)).slice(2)).toEqual([
      `B.tar.sums.${id}.minisig`,
      `B.tar.sums.${id}.sig`,
    ])
    expect(await signersNextTo(bundle, signers)).toBe(3)
    const text = readFileSync(`${bundle}.verify.txt`, 'utf8')
    for (const { key } of signers) expect(text).toContain(key.words)
    expect(text).toContain('one of these ways for each key')
  })

  it.skipIf(!hasTool('minisign') || !hasTool('ssh-keygen'))(
    'goes beside signatures of stock tools (needs minisign and ssh-keygen)',
    async () => {
      const { folder, bundle, sums } = writtenStatement()
      minisign(sums, { secret: minisignKey(folder).secret })
      sshSign(sums, { secret: sshKey(folder).secret })
      const signers = [await newSigner()]
      await signBundle(bundle, options(signers))
      const { id } = signers[0]!.key
      expect(readdirSync(folder)).toContain(`B.tar.sums.${id}.sig`)
      expect(readdirSync(folder)).toContain('B.tar.sums.sigstore.json')
      expect(await signersNextTo(bundle, signers)).toBe(1)
    },
  )

  it('refuses the statement of another bundle, unless the bundle was just built', async () => {
    const { folder, bundle } = empty()
    const signers = [await newSigner()]
    await signBundle(bundle, options(signers))
    const other = { version: '1.0.1' }
    await expect(signBundle(bundle, options(signers, other))).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
    })
    await signBundle(bundle, options([], { ...other, stale: 'replace' }))
    expect(readdirSync(folder).sort()).toEqual(['B.tar.sums', 'B.tar.verify.txt'])
    expect(readFileSync(`${bundle}.sums`, 'utf8')).toContain('# version: 1.0.1\n')
    expect(readFileSync(`${bundle}.verify.txt`, 'utf8')).toContain('is not signed')
  })

  it('refuses an edited statement and a wrong signature next to it', async () => {
    const { bundle, sums } = empty()
    const signers = [await newSigner()]
    await signBundle(bundle, options(signers))
    const good = readFileSync(sums, 'utf8')
    writeFileSync(sums, good.replace('2026-11-27', '2026-11-28'))
    await expect(signBundle(bundle, options(signers))).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' })
    writeFileSync(sums, `${good}\n`)
    await expect(signBundle(bundle, options(signers))).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' })
  })

  it('sets an expiry before the first signature only', async () => {
    const { bundle, sums } = empty()
    const expires = '2027-11-27T00:00:00Z'
    await signBundle(bundle, options([]))
    await signBundle(bundle, options([await newSigner()], { expires }))
    expect(readFileSync(sums, 'utf8')).toContain(`# expires: ${expires}\n`)
    // the same, or none, is no change
    await signBundle(bundle, options([await newSigner()], { expires }))
    await signBundle(bundle, options([await newSigner()]))
    await expect(
      signBundle(bundle, options([await newSigner()], { expires: '2028-01-01T00:00:00Z' })),
    ).rejects.toMatchObject({ code: 'USAGE' })
  })

  it('as a dry run writes nothing', async () => {
    const { folder, bundle } = empty()
    const planned = await planSigning(bundle, options([await newSigner()]))
    expect(planned).toMatchObject({
      isNew: true,
      signatures: [{ format: 'minisign' }, { format: 'ssh' }, { format: 'sigstore' }],
    })
    expect(readdirSync(folder)).toEqual([])
  })
})
