import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { readGivenCa, readGivenCertificate } from '../../src/site/given-certificate.ts'
import { type TestCertificate, testCertificate } from './support/certificates.ts'

const host = 'site.example'
const now = new Date()
const ca = testCertificate({ commonName: 'a CA' })
const server = testCertificate({ issuer: ca, names: [host, '10.0.0.1'] })
const other = testCertificate({ issuer: ca, names: [host] })

async function files(
  certificate: string,
  key: string,
): Promise<{ by: 'files'; certificate: string; key: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-given-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const paths = { certificate: join(folder, 'server.crt'), key: join(folder, 'server.key') }
  await writeFile(paths.certificate, certificate)
  await writeFile(paths.key, key)
  return { by: 'files', ...paths }
}

const read = async (certificate: string, key = server.keyText, wanted = host) =>
  await readGivenCertificate(await files(certificate, key), { host: wanted, now })

it('takes a certificate with its chain, and texts around them', async () => {
  const found = await read(`Bag Attributes\n${server.certificate}\nsubject=…\n${ca.certificate}`)
  expect(found.certificate).toBe(server.certificate + ca.certificate)
  expect(await read(server.certificate, server.keyText, '10.0.0.1')).toMatchObject({ key: server.keyText })
})

it('takes RSA keys in PKCS #1', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-given-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const paths = { certificate: join(folder, 'rsa.crt'), key: join(folder, 'rsa.key') }
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${host}`, '-days', '30']
  const leaf = [
    '-addext',
    `subjectAltName=DNS:*.corp.example`,
    '-addext',
    'basicConstraints=critical,CA:FALSE',
  ]
  execFileSync('openssl', [...request, ...leaf, '-keyout', paths.key, '-out', paths.certificate], {
    stdio: 'pipe',
  })
  execFileSync('openssl', ['rsa', '-traditional', '-in', paths.key, '-out', paths.key], { stdio: 'pipe' })
  expect(
    await readGivenCertificate({ by: 'files', ...paths }, { host: 'site.corp.example', now: new Date() }),
  ).toBeDefined()
})

const yesterday = new Date(now.getTime() - 86_400_000)
const tomorrow = new Date(now.getTime() + 86_400_000)
const expired = testCertificate({ issuer: ca, names: [host], until: yesterday })
const early = testCertificate({ issuer: ca, names: [host], from: tomorrow })
const selfSigned = testCertificate({ commonName: 'another CA' })
const encrypted = execFileSync('openssl', ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-passout', 'pass:x'], {
  input: server.keyText,
}).toString()

it.each<[string, { certificate: string; key?: string; host?: string; code: string; says: RegExp }]>([
  [
    'the key of another certificate',
    { certificate: server.certificate, key: other.keyText, code: 'KEY_INVALID', says: /does not belong/ },
  ],
  [
    'a chain in the wrong order',
    { certificate: ca.certificate + server.certificate, code: 'KEY_INVALID', says: /wrong order/ },
  ],
  [
    'certificates that are no chain',
    { certificate: server.certificate + selfSigned.certificate, code: 'KEY_INVALID', says: /not a chain/ },
  ],
  [
    'the certificate of a CA',
    { certificate: ca.certificate, key: ca.keyText, code: 'KEY_INVALID', says: /of a CA/ },
  ],
  [
    'an expired certificate',
    { certificate: expired.certificate, key: expired.keyText, code: 'EXPIRED', says: /expired at/ },
  ],
  [
    'one that is not valid yet',
    { certificate: early.certificate, key: early.keyText, code: 'CLOCK_WRONG', says: /not valid before/ },
  ],
  [
    'one for another name',
    {
      certificate: server.certificate,
      host: 'other.example',
      code: 'KEY_INVALID',
      says: /does not name other.example/,
    },
  ],
  [
    'one for another address',
    {
      certificate: server.certificate,
      host: '10.0.0.2',
      code: 'KEY_INVALID',
      says: /does not name 10.0.0.2/,
    },
  ],
  [
    'an encrypted key',
    { certificate: server.certificate, key: encrypted, code: 'KEY_INVALID', says: /key is encrypted/ },
  ],
  [
    'swapped files',
    {
      certificate: server.keyText,
      key: server.certificate,
      code: 'KEY_INVALID',
      says: /no valid certificate/,
    },
  ],
  [
    'a file without a key',
    { certificate: server.certificate, key: 'nothing', code: 'KEY_INVALID', says: /no valid private key/ },
  ],
  ['DER', { certificate: derOf(server), code: 'KEY_INVALID', says: /no valid certificate/ }],
  [
    'a certificate that is cut off',
    {
      certificate: server.certificate.replace(/.{80}(?=\n-----END)/s, ''),
      code: 'KEY_INVALID',
      says: /no valid certificate/,
    },
  ],
])('refuses %s', async (_, { certificate, key, host: wanted, code, says }) => {
  await expect(read(certificate, key, wanted)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(says),
  })
})

it('names a file that does not exist', async () => {
  const given = { by: 'files', certificate: '/nowhere/server.crt', key: '/nowhere/server.key' } as const
  await expect(readGivenCertificate(given, { host, now })).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
    item: '/nowhere/server.crt',
  })
})

it('finds what machines have to trust: the file that is named, or a root at the end of the chain', async () => {
  expect(await readGivenCa(await files(server.certificate + ca.certificate, ''))).toBe(ca.certificate)
  const alone = await files(server.certificate, '')
  expect(await readGivenCa(alone)).toBeUndefined()
  const named = await files(ca.certificate, '')
  expect(await readGivenCa({ ...alone, ca: named.certificate })).toBe(ca.certificate)
})

function derOf({ certificate }: TestCertificate): string {
  return Buffer.from(certificate.replace(/-----[^-]+-----|\n/g, ''), 'base64').toString('latin1')
}
