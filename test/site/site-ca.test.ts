import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openServerCertificate, openSiteCa, readSiteCa, type SiteCa } from '../../src/site/site-ca.ts'
import { testCertificate } from './support/certificates.ts'

const day = 24 * 60 * 60_000
const today = new Date('2026-11-27T12:00:00Z')
const inDays = (days: number) => new Date(today.getTime() + days * day)
const names = ['10.0.0.1', 'site.example', 'localhost', '127.0.0.1', '::1', 'fd00:0:0::7']

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-ca-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function newCa(now = today): Promise<{ folder: string; ca: SiteCa }> {
  const folder = await temporaryFolder()
  return { folder, ca: await openSiteCa(folder, { now: () => now }) }
}

const certificateAt = async (
  { folder, ca }: { folder: string; ca: SiteCa },
  now: Date,
  wanted: readonly string[] = names,
): Promise<X509Certificate> =>
  new X509Certificate(
    (await openServerCertificate(ca, { folder, names: wanted, now: () => now })).certificate,
  )

/** As a client whose clock shows `at` verifies it; throws with what openssl prints. */
async function verify(folder: string, { at, args = [] }: { at: Date; args?: string[] }): Promise<string> {
  const ca = join(folder, 'ca.crt')
  await writeFile(ca, new X509Certificate(await readFile(join(folder, 'ca.pem'))).toString())
  const time = ['-attime', String(Math.floor(at.getTime() / 1000))]
  const options = ['-x509_strict', '-purpose', 'sslserver', '-CAfile', ca, ...time, ...args]
  return execFileSync('openssl', ['verify', ...options, join(folder, 'server.pem')], {
    stdio: 'pipe',
  }).toString()
}

describe('the CA of a site', () => {
  it('is made once, with a key that nobody else can read, and signs what strict clients accept', async () => {
    const made = await newCa()
    expect((await stat(join(made.folder, 'ca.pem'))).mode & 0o777).toBe(0o600)
    const again = await openSiteCa(made.folder, { now: () => inDays(1) })
    expect(again.text).toBe(made.ca.text)
    expect(made.ca.text).not.toContain('PRIVATE')
    await certificateAt(made, today)
    expect((await stat(join(made.folder, 'server.pem'))).mode & 0o777).toBe(0o600)
    for (const args of [
      ['-verify_ip', '10.0.0.1'],
      ['-verify_ip', 'fd00::7'],
      ['-verify_hostname', 'site.example'],
    ])
      expect(await verify(made.folder, { at: today, args })).toContain('OK')
    await expect(verify(made.folder, { at: today, args: ['-verify_ip', '10.0.0.2'] })).rejects.toThrow(
      /IP address mismatch/,
    )
  })

  it('is never replaced: a damaged file and one that others can read are refused', async () => {
    const { folder } = await newCa()
    const path = join(folder, 'ca.pem')
    await chmod(path, 0o640)
    await expect(readSiteCa(folder)).rejects.toMatchObject({ code: 'PERMISSION', item: path })
    await chmod(path, 0o600)
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.slice(0, text.length / 2))
    await expect(openSiteCa(folder, { now: () => today })).rejects.toMatchObject({
      code: 'KEY_INVALID',
      item: path,
    })
    const other = testCertificate()
    await writeFile(path, text.replace(/-----BEGIN PRIVATE.*/s, other.keyText))
    await expect(openSiteCa(folder, { now: () => today })).rejects.toMatchObject({ code: 'KEY_INVALID' })
  })

  it('is made by one of two processes that start at once', async () => {
    const folder = await temporaryFolder()
    const [one, two] = await Promise.all([1, 2].map(() => openSiteCa(folder, { now: () => today })))
    expect(one!.text).toBe(two!.text)
  })
})

describe('the certificate of the servers', () => {
  it('is made again after 15 days, with another address and with another CA, and stays otherwise', async () => {
    const made = await newCa()
    const first = await certificateAt(made, today)
    expect((await certificateAt(made, inDays(14))).serialNumber).toBe(first.serialNumber)
    const renewed = await certificateAt(made, inDays(16))
    expect(renewed.serialNumber).not.toBe(first.serialNumber)
    const moved = await certificateAt(made, inDays(17), [...names, '10.0.0.2'])
    expect(moved.checkIP('10.0.0.2')).toBe('10.0.0.2')
    expect((await certificateAt(made, inDays(17))).serialNumber).toBe(moved.serialNumber)
    const ca = await openSiteCa(await temporaryFolder(), { now: () => inDays(17) })
    expect((await certificateAt({ ...made, ca }, inDays(17))).checkIssued(ca.certificate)).toBe(true)
  })

  it('is accepted by clients whose clock is a year off, and was made well where this host’s was', async () => {
    for (const off of [-365, 0, 365]) {
      const made = await newCa(inDays(off))
      await certificateAt(made, inDays(off))
      for (const clientOff of off === 0 ? [-365, 0, 365] : [0])
        expect(await verify(made.folder, { at: inDays(clientOff) })).toContain('OK')
    }
  })

  it('recovers by itself once a clock that was years off is right again', async () => {
    const made = await newCa()
    const ahead = await certificateAt(made, inDays(5 * 365))
    await expect(verify(made.folder, { at: today })).rejects.toThrow(/not yet valid/)
    const right = await certificateAt(made, today)
    expect(right.serialNumber).not.toBe(ahead.serialNumber)
    expect(await verify(made.folder, { at: today })).toContain('OK')
    // an empty battery: not before the CA was made
    await certificateAt(made, new Date(0))
    expect(await verify(made.folder, { at: today })).toContain('OK')
  })

  it('is never valid longer than the CA, and not for more days than all clients accept', async () => {
    const made = await newCa()
    const last = await certificateAt(made, inDays(10 * 365 - 20))
    expect(last.validToDate.getTime()).toBe(made.ca.certificate.validToDate.getTime())
    const usual = await certificateAt(made, today)
    expect((usual.validToDate.getTime() - usual.validFromDate.getTime()) / day).toBeLessThan(825)
  })

  it('has a name for an address that is too long for a common name', async () => {
    const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.example`
    const certificate = await certificateAt(await newCa(), today, [long])
    expect(certificate.checkHost(long)).toBe(long)
  })

  it('replaces a file that is damaged', async () => {
    const made = await newCa()
    await writeFile(join(made.folder, 'server.pem'), 'nothing', { mode: 0o600 })
    expect((await certificateAt(made, today)).checkIssued(made.ca.certificate)).toBe(true)
  })
})
