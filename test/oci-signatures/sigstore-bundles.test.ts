import { createHash, type KeyObject, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { imageKind } from '../../src/kinds/image/index.ts'
import { identityMatcher } from '../../src/oci-signatures/keyless-identity.ts'
import type { SignaturePolicy } from '../../src/oci-signatures/policy.ts'
import { parseSignerKeys } from '../../src/oci-signatures/signer-keys.ts'
import { parseTrustedRoot } from '../../src/oci-signatures/trusted-root.ts'
import { type Put, types, Upstream } from '../kinds/image/support.ts'
import { authorityExtensions, issue, newKeyPair } from './support/certificates.ts'
import { bundleType, keyBundle, type SignOptions, startSigstore, statement } from './support/sigstore.ts'

const amd64 = { os: 'linux', architecture: 'amd64' }
const source = 'registry.example/team'
const instance = startSigstore()
const { privateKey, publicKey } = newKeyPair()
const identity = 'https://github.com/team/app/.github/workflows/release.yml@refs/tags/v1'
const issuer = 'https://token.example'

const keyPolicy: SignaturePolicy = {
  source,
  signers: parseSignerKeys(publicKey.export({ format: 'pem', type: 'spki' }).toString(), 'test.pub'),
}
const keylessPolicy = (pattern = identity, trustedRoot: object = instance.trustedRoot): SignaturePolicy => ({
  source,
  signers: [
    {
      type: 'keyless',
      identity: pattern,
      isIdentity: identityMatcher(pattern),
      issuer,
      root: parseTrustedRoot(JSON.stringify(trustedRoot), 'trusted_root.json'),
    },
  ],
})

/** A referrer for each document, listed as cosign lists them. */
function attach(
  upstream: Upstream,
  { image, documents }: { image: Put; documents: { bytes: string; annotations?: Record<string, string> }[] },
) {
  const config = upstream.registry.putBlob(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json')
  const listed = documents.map(({ bytes, annotations }) => {
    const layers = [upstream.registry.putBlob(Buffer.from(bytes), bundleType)]
    const manifest = { mediaType: types.manifest, artifactType: bundleType, config, layers, subject: image }
    return { ...upstream.manifest(manifest), artifactType: bundleType, ...(annotations && { annotations }) }
  })
  upstream.index(listed, image.digest.replace(':', '-'))
}

async function signed(documentFor: (image: Put, upstream: Upstream) => object | string) {
  const upstream = await Upstream.start()
  const image = upstream.image(amd64, '1')
  const document = documentFor(image, upstream)
  const bytes = typeof document === 'string' ? document : JSON.stringify(document)
  attach(upstream, { image, documents: [{ bytes }] })
  return { upstream, image }
}

async function refusal(upstream: Upstream, policy: SignaturePolicy): Promise<string> {
  const failure = await upstream.lock({ signatures: [policy] }).catch(error => error)
  expect(failure).toMatchObject({ code: 'SIGNATURE_INVALID', exitCode: 6 })
  return failure.likely ?? ''
}

describe('a sigstore bundle by a key', () => {
  it('with a signed statement vouches for the image', async () => {
    const { upstream } = await signed(({ digest }) => keyBundle(statement(digest), privateKey))
    const locked = await upstream.lock({ signatures: [keyPolicy] })
    const [key] = keyPolicy.signers
    expect(locked.signedBy).toEqual([key?.type === 'key' ? key.fingerprint : ''])
  })

  it('with a signature of the manifest itself vouches for the image', async () => {
    const { upstream } = await signed(({ digest }, { registry }) =>
      messageBundle(registry.manifests.get(digest)!.bytes, privateKey),
    )
    await upstream.lock({ signatures: [keyPolicy] })
  })

  it('among others by somebody else, and statements of other types, is found', async () => {
    const upstream = await Upstream.start()
    const image = upstream.image(amd64, '1')
    const other = JSON.stringify(keyBundle(statement(image.digest), newKeyPair().privateKey))
    const sbom = 'https://spdx.dev/Document'
    const annotations = { 'dev.sigstore.bundle.predicateType': sbom }
    const documents = [
      { bytes: other },
      { bytes: '{' },
      // not even fetched: the list states what it is
      ...Array.from({ length: 120 }, (_, i) => ({ bytes: String(i), annotations })),
      { bytes: JSON.stringify(keyBundle(statement(image.digest), privateKey)) },
    ]
    attach(upstream, { image, documents })
    await upstream.lock({ signatures: [keyPolicy] })
  })

  const other = `sha256:${'1'.repeat(64)}`
  it.each<[string, (digest: string) => object | string, string]>([
    ['by another key', digest => keyBundle(statement(digest), newKeyPair().privateKey), 'by another key'],
    ['for another digest', () => keyBundle(statement(other), privateKey), 'for another digest'],
    [
      'for another repository',
      digest => keyBundle(statement(digest, { name: 'registry.example/team/other' }), privateKey),
      'for the name "registry.example/team/other"',
    ],
    [
      'that attests a scan',
      digest =>
        keyBundle(
          statement(digest, { predicateType: 'https://cosign.sigstore.dev/attestation/vuln/v1' }),
          privateKey,
        ),
      'not a signature',
    ],
    [
      'with another payload than was signed',
      digest => {
        const bundle = keyBundle(statement(other), privateKey)
        bundle.dsseEnvelope.payload = Buffer.from(statement(digest)).toString('base64')
        return bundle
      },
      'by another key',
    ],
    ['without a statement', () => keyBundle('{}', privateKey), 'is not a statement'],
    [
      'of two signatures',
      digest => {
        const bundle = keyBundle(statement(digest), privateKey)
        bundle.dsseEnvelope.signatures.push(bundle.dsseEnvelope.signatures[0]!)
        return bundle
      },
      'not a valid sigstore bundle',
    ],
    ['that is garbage', () => 'garbage', 'not a valid sigstore bundle'],
    ['that is null', () => 'null', 'not a valid sigstore bundle'],
    ['that is nested deeply', () => '['.repeat(100_000), 'not a valid sigstore bundle'],
    ['that is huge', () => 'x'.repeat(1024 * 1024 + 1), 'larger than 1048576 bytes'],
  ])('%s stops the lock', async (_, document, reason) => {
    const { upstream } = await signed(({ digest }) => document(digest))
    expect(await refusal(upstream, keyPolicy)).toContain(reason)
  })
})

describe('a keyless signature', () => {
  const payloadOf = (digest: string, name = 'registry.example/team/app') =>
    Buffer.from(
      JSON.stringify({
        critical: {
          identity: { 'docker-reference': name },
          image: { 'docker-manifest-digest': digest },
          type: 'cosign container image signature',
        },
      }),
    )
  const asTag = async (options: SignOptions = {}, change?: (annotations: Record<string, string>) => void) => {
    const upstream = await Upstream.start()
    const image = upstream.image(amd64, '1')
    const payload = payloadOf(image.digest)
    const annotations = instance.signPayload(payload, options)
    change?.(annotations)
    const layer = upstream.registry.putBlob(payload, 'application/vnd.dev.cosign.simplesigning.v1+json')
    const config = upstream.registry.putBlob(Buffer.from('{}'), types.config)
    const tag = `${image.digest.replace(':', '-')}.sig`
    upstream.manifest({ mediaType: types.manifest, config, layers: [{ ...layer, annotations }] }, tag)
    return upstream
  }
  const asBundle = async (options: SignOptions = {}) =>
    (await signed(({ digest }) => instance.signStatement(statement(digest), options))).upstream

  it.each([
    ['a bundle', asBundle],
    ['annotations of cosign 2', asTag],
  ])('as %s vouches for the image, and the lock names the identity', async (_, start) => {
    const upstream = await start()
    const locked = await upstream.lock({ signatures: [keylessPolicy()] })
    expect(locked.signedBy).toEqual([{ identity, issuer }])
    expect(imageKind.describe(locked)[0]!.vouchedBy).toBe(`keyless: ${identity} (issuer ${issuer})`)
  })

  it('remains good after its certificate has expired: what counts is when it was signed', async () => {
    const hours = new Date(Date.now() - 5 * 3_600_000)
    for (const start of [asBundle, asTag])
      await (await start({ at: hours })).lock({ signatures: [keylessPolicy()] })
  })

  it('matches a pattern for the releases of one workflow, or for the addresses of one domain', async () => {
    const pattern = 'https://github.com/team/app/.github/workflows/release.yml@refs/tags/*'
    await (await asBundle()).lock({ signatures: [keylessPolicy(pattern)] })
    await (await asBundle({ identity: 'release@team.example' })).lock({
      signatures: [keylessPolicy('*@team.example')],
    })
  })

  const stranger = issue({ subject: [['CN', 'test root']], extensions: authorityExtensions() })
  it.each<[string, SignOptions, string]>([
    ['another identity', { identity: `${identity}.1` }, `by "${identity}.1"`],
    ['another issuer', { issuer: 'https://token.example.org' }, '(issuer "https://token.example.org")'],
    ['an unknown authority', { authority: stranger }, 'certificate'],
    [
      'a certificate that had expired when it was signed',
      { certificateFrom: new Date(Date.now() - 3_000_000) },
      'expired',
    ],
    ['a certificate for servers', { purpose: '1.3.6.1.5.5.7.3.1' }, 'not for code signing'],
    ['no certificate transparency', { withoutTransparency: true }, 'SCT'],
    ['another certificate log', { ctLog: newKeyPair().privateKey }, 'SCT'],
    ['another transparency log', { log: newKeyPair().privateKey }, 'inclusion promise'],
    ['another identity that looks the same', { identity: identity.replace('team', 'te\u00e1m') }, 'ASCII'],
  ])('with %s stops the lock', async (_, options, reason) => {
    for (const start of [asBundle, asTag])
      expect(await refusal(await start(options), keylessPolicy())).toContain(reason)
  })

  it('without its entry of a log, or with the entry of another signature, stops the lock', async () => {
    const without = await asTag({}, annotations => {
      delete annotations['dev.sigstore.cosign/bundle']
    })
    expect(await refusal(without, keylessPolicy())).toContain('entry of a transparency log')
    const other = instance.signPayload(payloadOf(`sha256:${'1'.repeat(64)}`))
    const swapped = await asTag({}, annotations => {
      annotations['dev.sigstore.cosign/bundle'] = other['dev.sigstore.cosign/bundle']!
    })
    expect(await refusal(swapped, keylessPolicy())).toContain('signature mismatch')
    // a key that fits an old signature can be found: the entry has to be of this certificate
    const foreign = await asTag({ loggedCertificate: instance.root })
    expect(await refusal(foreign, keylessPolicy())).toContain('of another certificate')
    const { upstream } = await signed(({ digest }) => {
      const bundle = instance.signStatement(statement(digest))
      const [entry] = bundle.verificationMaterial.tlogEntries
      bundle.verificationMaterial.tlogEntries = Array.from({ length: 20 }, () => entry!)
      return bundle
    })
    expect(await refusal(upstream, keylessPolicy())).toContain('more than 8 log entries')
  })

  it('is not a signature by a key, nor the other way round', async () => {
    expect(await refusal(await asBundle(), keyPolicy)).toContain('by another key')
    const { upstream } = await signed(({ digest }) => keyBundle(statement(digest), privateKey))
    expect(await refusal(upstream, keylessPolicy())).toContain('by a key, not keyless')
  })
})

describe('a trusted root', () => {
  it.each<[string, object | string]>([
    ['garbage', 'garbage'],
    ['null', 'null'],
    ['a list', '[]'],
    ['no logs', { ...instance.trustedRoot, tlogs: [] }],
    ['no certificate logs', { ...instance.trustedRoot, ctlogs: [] }],
    ['no authorities', { ...instance.trustedRoot, certificateAuthorities: [] }],
    ['no key of a log', { ...instance.trustedRoot, tlogs: [{ baseUrl: 'https://log.example' }] }],
  ])('of %s is refused', (_, root) => {
    const text = typeof root === 'string' ? root : JSON.stringify(root)
    expect(() => parseTrustedRoot(text, 'x')).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }))
  })
})

function messageBundle(bytes: Buffer, key: KeyObject): object {
  return {
    mediaType: bundleType,
    verificationMaterial: { publicKey: { hint: 'any' }, tlogEntries: [] },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest: createHash('sha256').update(bytes).digest('base64') },
      signature: sign('sha256', bytes, key).toString('base64'),
    },
  }
}
