import { rmSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { checkSignatures } from '../../src/signature/check-signatures.ts'
import { signatureFormats } from '../../src/signature/files.ts'
import { newSecretKey, openSecretKey } from '../../src/signature/minisign-secret-key.ts'
import { signBundle } from '../../src/signature/sign-bundle.ts'
import { sample, writtenStatement } from './stock.ts'

const now = new Date('2026-11-27T03:20:00Z')
const { name, version, index, files } = sample()
const content = { name, version, index, files }

async function newSigner() {
  const { text } = await newSecretKey(undefined)
  return await openSecretKey(text, { item: 'k', askPassword: async () => '' })
}

/** A bundle that the first two of three keys signed. */
async function signedByTwo(expires?: string) {
  const { bundle, sums } = writtenStatement()
  const signers = [await newSigner(), await newSigner(), await newSigner()]
  const formats = signatureFormats
  await signBundle(bundle, { content, signers: signers.slice(0, 2), formats, now, expires, stale: 'refuse' })
  return { bundle, sums, keys: signers.map(({ key }) => key) }
}

const refused = (code: string, message: string) => ({
  code,
  exitCode: code === 'CLOCK_WRONG' ? 7 : 6,
  message: expect.stringContaining(message),
})
const invalid = (message: string) => refused('SIGNATURE_INVALID', message)

describe('checking the signatures of a bundle', () => {
  it('counts keys, not files, against the threshold', async () => {
    const { bundle, keys } = await signedByTwo()
    const { signers, unknown } = await checkSignatures(bundle, { keys, content, threshold: 2, now })
    expect(signers.map(({ words }) => words).sort()).toEqual(
      keys
        .slice(0, 2)
        .map(key => key.words)
        .sort(),
    )
    expect(signers.map(({ formats }) => formats.toSorted())).toEqual(
      Array(2).fill(signatureFormats.toSorted()),
    )
    expect(unknown).toEqual([])
    await expect(checkSignatures(bundle, { keys, content, threshold: 3, now })).rejects.toMatchObject(
      refused('UNTRUSTED', '2 of the 3 signatures that are required'),
    )
  })

  it('ignores signatures by other keys, and names them', async () => {
    const { bundle, keys } = await signedByTwo()
    const { signers, unknown } = await checkSignatures(bundle, {
      keys: [keys[0]!],
      content,
      threshold: 1,
      now,
    })
    expect(signers).toHaveLength(1)
    expect(unknown).toHaveLength(3)
    await expect(
      checkSignatures(bundle, { keys: [keys[2]!], content, threshold: 1, now }),
    ).rejects.toMatchObject({
      ...refused('UNTRUSTED', 'is signed with another key'),
      item: expect.stringContaining(keys[0]!.short),
    })
    await expect(
      checkSignatures(bundle, { keys: keys.slice(1), content, threshold: 2, now }),
    ).rejects.toMatchObject({
      ...refused('UNTRUSTED', '1 of the 2 signatures'),
      likely: '3 signatures are by other keys',
    })
  })

  it('refuses a threshold that the keys cannot reach, also if a key is passed twice', async () => {
    const { bundle, keys } = await signedByTwo()
    const twice = [keys[0]!, keys[0]!]
    await expect(checkSignatures(bundle, { keys: twice, content, threshold: 2, now })).rejects.toMatchObject({
      code: 'USAGE',
    })
  })

  it('refuses an unsigned bundle, stripped signatures, and the list of another bundle', async () => {
    const { bundle, sums, keys } = await signedByTwo()
    const options = { keys, content, threshold: 1, now }
    const other = { ...content, version: '1.0.1' }
    await expect(checkSignatures(bundle, { ...options, content: other })).rejects.toMatchObject(
      invalid('another bundle'),
    )
    const swapped = {
      ...content,
      files: [files[0]!, { path: 'offline-deploy/node', sha256: 'd'.repeat(64) }],
    }
    await expect(checkSignatures(bundle, { ...options, content: swapped })).rejects.toMatchObject(
      invalid('a program in the bundle is not the one that was signed'),
    )
    for (const suffix of ['minisig', 'sig', 'sigstore.json']) rmSync(`${sums}.${suffix}`)
    for (const key of keys)
      for (const suffix of ['minisig', 'sig', 'sigstore.json'])
        rmSync(`${sums}.${key.id}.${suffix}`, { force: true })
    await expect(checkSignatures(bundle, options)).rejects.toMatchObject(
      refused('UNTRUSTED', 'the bundle is not signed'),
    )
    rmSync(sums)
    await expect(checkSignatures(bundle, options)).rejects.toMatchObject(
      refused('UNTRUSTED', 'the bundle is not signed'),
    )
  })

  it('refuses everything where one signature of a known key is wrong', async () => {
    const { bundle, sums, keys } = await signedByTwo()
    writeFileSync(`${sums}.sig`, 'x')
    await expect(checkSignatures(bundle, { keys, content, threshold: 1, now })).rejects.toMatchObject(
      invalid('not a signature'),
    )
  })

  it('refuses an expired bundle, to the second', async () => {
    const expires = '2027-01-01T00:00:00Z'
    const { bundle, keys } = await signedByTwo(expires)
    const at = (time: string) => checkSignatures(bundle, { keys, content, threshold: 2, now: new Date(time) })
    expect((await at('2026-12-31T23:59:59Z')).expires).toBe(expires)
    await expect(at(expires)).rejects.toMatchObject(refused('EXPIRED', `the bundle expired on ${expires}`))
    await expect(at('2026-01-01T00:00:00Z')).rejects.toMatchObject(
      refused('CLOCK_WRONG', 'the clock of this host'),
    )
  })
})
