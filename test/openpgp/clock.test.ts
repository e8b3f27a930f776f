import { createCleartextMessage, generateKey, sign } from 'openpgp'
import { describe, expect, it } from 'vitest'
import { verifyClearSigned } from '../../src/openpgp/verify.ts'

/** A Release file that was signed in 2026, with a key that expires after ten years. */
async function signedFile() {
  const date = new Date('2026-05-01T00:00:00Z')
  const { privateKey, publicKey } = await generateKey({
    userIDs: [{ name: 'archive' }],
    format: 'object',
    date,
    keyExpirationTime: 10 * 365 * 86_400,
  })
  const message = await createCleartextMessage({ text: 'Suite: stable\n' })
  const text = await sign({ message, signingKeys: privateKey, date })
  return (now: string) =>
    verifyClearSigned(Buffer.from(text), { keys: [publicKey], now: new Date(now), item: 'InRelease' })
}

describe('a wrong clock', () => {
  it('that is years behind is named, with the command that sets it', async () => {
    const verifyAt = await signedFile()
    expect((await verifyAt('2026-06-01T00:00:00Z')).fingerprint).toMatch(/^[0-9A-F]{40}$/)
    for (const now of ['2019-01-01T00:00:00Z', '1970-01-01T00:00:00Z'])
      await expect(verifyAt(now)).rejects.toMatchObject({
        code: 'SIGNATURE_INVALID',
        likely: `the clock of this host shows ${now.slice(0, 10)}, but the file was signed on 2026-05-01: the clock is wrong`,
        next: expect.stringContaining('timedatectl'),
      })
  })

  it('that is years ahead is a possible cause of an expired key', async () => {
    const verifyAt = await signedFile()
    await expect(verifyAt('2041-01-01T00:00:00Z')).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
      likely: expect.stringContaining('the clock of this host shows 2041-01-01'),
    })
  })
})
