import { type KeyObject, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { imageKind } from '../../src/kinds/image/index.ts'
import { parseCertificates } from '../../src/oci-signatures/certificate-file.ts'
import { parseTrustedIdentity } from '../../src/oci-signatures/distinguished-name.ts'
import type { NotationSigner } from '../../src/oci-signatures/notation-signer.ts'
import { type Put, types, Upstream } from '../kinds/image/support.ts'
import {
  authorityExtensions,
  extension,
  type Issued,
  issue,
  signingExtensions,
} from './support/certificates.ts'

const hour = 3_600_000
// the clock of the lock in these tests
const now = 0
const times = { from: new Date(now - hour), to: new Date(now + hour) }
const name = (cn: string): [string, string][] => [
  ['C', 'US'],
  ['ST', 'WA'],
  ['O', 'example'],
  ['CN', cn],
]
const authority = issue({ subject: name('root'), ...times, extensions: authorityExtensions(1) })
const middle = issue({
  subject: name('middle'),
  issuer: authority,
  ...times,
  extensions: authorityExtensions(0),
})
const leafOf = (options: Partial<Parameters<typeof issue>[0]> = {}) =>
  issue({ subject: name('release'), issuer: middle, ...times, ...options })
const leaf = leafOf()

interface Envelope {
  header?: Record<string, unknown>
  target?: Record<string, unknown>
  chain?: Issued[]
  key?: KeyObject
  mediaType?: string
  raw?: string
}

function envelopeOf(
  image: Put,
  { header, target, chain = [leaf, middle, authority], key, raw }: Envelope,
): string {
  if (raw !== undefined) return raw
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const { mediaType, digest, size } = image
  const payload = encode({ targetArtifact: { mediaType, digest, size, ...target } })
  const protectedHeader = encode({
    alg: 'ES256',
    cty: 'application/vnd.cncf.notary.payload.v1+json',
    crit: ['io.cncf.notary.signingScheme'],
    'io.cncf.notary.signingScheme': 'notary.x509',
    'io.cncf.notary.signingTime': '1970-01-01T00:00:00Z',
    ...header,
  })
  const message = Buffer.from(`${protectedHeader}.${payload}`)
  const signer = { key: key ?? chain[0]!.privateKey, dsaEncoding: 'ieee-p1363' as const }
  return JSON.stringify({
    payload,
    protected: protectedHeader,
    header: { x5c: chain.map(({ der }) => der.toString('base64')) },
    signature: sign('sha256', message, signer).toString('base64url'),
  })
}

async function signed(envelope: Envelope) {
  const upstream = await Upstream.start()
  const image = upstream.image({ os: 'linux', architecture: 'amd64' }, '1')
  const artifactType = 'application/vnd.cncf.notary.signature'
  const config = upstream.registry.putBlob(Buffer.from('{}'), artifactType)
  const bytes = Buffer.from(envelopeOf(image, envelope))
  const layers = [upstream.registry.putBlob(bytes, envelope.mediaType ?? 'application/jose+json')]
  const put = upstream.manifest({ mediaType: types.manifest, artifactType, config, layers, subject: image })
  upstream.index([{ ...put, artifactType }], image.digest.replace(':', '-'))
  return upstream
}

const policy = (
  identity = 'x509.subject: C=US, ST=WA, O=example',
  certificates = authority.pem,
): { source: string; signers: [NotationSigner] } => ({
  source: 'registry.example/team',
  signers: [
    {
      type: 'notation',
      authorities: parseCertificates(certificates)!,
      identities: identity === '*' ? [] : [parseTrustedIdentity(identity)!],
    },
  ],
})

describe('a signature of notation', () => {
  it('vouches for the image, and the lock names subject and authority', async () => {
    const locked = await (await signed({})).lock({ signatures: [policy()] })
    const fingerprint = policy().signers[0].authorities[0]!.fingerprint256.replaceAll(':', '').toLowerCase()
    const subject = 'C=US, ST=WA, O=example, CN=release'
    expect(locked.signedBy).toEqual([{ subject, authority: fingerprint }])
    expect(imageKind.describe(locked)[0]!.vouchedBy).toBe(`notation: ${subject} (authority ${fingerprint})`)
  })

  it('vouches with an authority in the middle, a certificate of its own, and before its expiry', async () => {
    const upstream = await signed({})
    await upstream.lock({ signatures: [policy('*', middle.pem)] })
    const own = issue({ subject: name('own'), ...times, extensions: signingExtensions() })
    await (await signed({ chain: [own] })).lock({ signatures: [policy(undefined, own.pem)] })
    const expiry = { 'io.cncf.notary.expiry': '1970-01-01T00:30:00Z' }
    const crit = ['io.cncf.notary.signingScheme', 'io.cncf.notary.expiry']
    await (await signed({ header: { ...expiry, crit } })).lock({ signatures: [policy()] })
  })

  const stranger = issue({ subject: name('root'), ...times, extensions: authorityExtensions() })
  const scheme = 'io.cncf.notary.signingScheme'
  it.each<[string, Envelope, string]>([
    ['by another authority', { chain: [leafOf({ issuer: stranger }), stranger] }, 'of another authority'],
    [
      'with the authority behind a certificate that it did not issue',
      { chain: [leafOf({ issuer: stranger }), authority] },
      'is not one',
    ],
    [
      'by another subject',
      { chain: [leafOf({ subject: [['O', 'other']] }), middle, authority] },
      'by "O=other"',
    ],
    [
      'by two organizations',
      { chain: [leafOf({ subject: [...name('x'), ['O', 'other']] }), middle, authority] },
      'by "C=US, ST=WA, O=example',
    ],
    [
      'by an expired certificate',
      { chain: [leafOf({ to: new Date(now - 1000) }), middle, authority] },
      'expired at',
    ],
    [
      'by a future certificate',
      { chain: [leafOf({ from: new Date(now + 1000) }), middle, authority] },
      'not valid yet',
    ],
    ['by the authority itself', { chain: [middle, authority] }, 'that of an authority'],
    [
      'by a certificate for servers',
      { chain: [leafOf({ extensions: signingExtensions('1.3.6.1.5.5.7.3.1') }), middle, authority] },
      'not for code signing',
    ],
    [
      'by a certificate without a usage',
      {
        chain: [
          leafOf({ extensions: [extension('2.5.29.37', Buffer.from('300a06082b06010505070303', 'hex'))] }),
          middle,
          authority,
        ],
      },
      'not for signatures',
    ],
    [
      'by a certificate that issued another one',
      { chain: [issue({ subject: name('x'), issuer: leaf, ...times }), leaf, middle, authority] },
      'is not one',
    ],
    ['by another key', { key: stranger.privateKey }, 'is wrong'],
    ['for another digest', { target: { digest: `sha256:${'1'.repeat(64)}` } }, 'is for "sha256:1111'],
    ['for another size', { target: { size: 1 } }, 'another type or size'],
    [
      'that expired',
      {
        header: { 'io.cncf.notary.expiry': '1969-12-31T00:00:00Z', crit: [scheme, 'io.cncf.notary.expiry'] },
      },
      'expired at 1969-12-31',
    ],
    [
      'with an expiry that is not critical',
      { header: { 'io.cncf.notary.expiry': '2100-01-01T00:00:00Z' } },
      'critical',
    ],
    ['with an unknown critical header', { header: { crit: [scheme, 'x'] } }, 'unknown critical header "x"'],
    ['with an unknown scheme', { header: { [scheme]: 'notary.x509.signingAuthority' } }, 'not supported'],
    ['without an algorithm', { header: { alg: 'none' } }, 'is wrong'],
    ['with the algorithm of another key', { header: { alg: 'PS256' } }, 'is wrong'],
    ['of another payload type', { header: { cty: 'text/plain' } }, 'for "text/plain"'],
    ['without certificates', { chain: [], key: leaf.privateKey }, 'not a JWS envelope'],
    ['with too many certificates', { chain: Array.from({ length: 11 }, () => leaf) }, 'no chain'],
    ['that is garbage', { raw: 'garbage' }, 'not a JWS envelope'],
    [
      'in a COSE envelope',
      { mediaType: 'application/cose', raw: 'x' },
      'COSE envelope, which is not supported',
    ],
  ])('%s stops the lock', async (_, envelope, reason) => {
    const failure = await (await signed(envelope)).lock({ signatures: [policy()] }).catch(error => error)
    expect(failure).toMatchObject({ code: 'SIGNATURE_INVALID', exitCode: 6 })
    expect(failure.likely).toContain(reason)
  })
})

describe('a trusted identity', () => {
  it.each([
    'x509.subject: C=US, ST=WA',
    'x509.subject: C=US, ST=WA, O=a, O=b',
    'x509.subject: C=US, ST=WA, O=',
    'x509.subject: C=US, ST=WA, O=a, X=b',
    'C=US, ST=WA, O=a',
    'x509.subject:',
  ])('%j is refused', text => {
    expect(parseTrustedIdentity(text)).toBeUndefined()
  })

  it('may have escaped commas and other spellings', () => {
    const { attributes } = parseTrustedIdentity(String.raw`x509.subject: c=US,S=WA, O=a\, b`)!
    expect([...attributes]).toEqual([
      ['C', 'US'],
      ['ST', 'WA'],
      ['O', 'a, b'],
    ])
  })
})
