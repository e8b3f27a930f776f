import { parseCertificates } from '../../../src/oci-signatures/certificate-file.ts'
import { parseTrustedIdentity } from '../../../src/oci-signatures/distinguished-name.ts'
import { identityMatcher } from '../../../src/oci-signatures/keyless-identity.ts'
import { checkKeylessSimpleSigning } from '../../../src/oci-signatures/keyless-simple-signing.ts'
import { parseEnvelope } from '../../../src/oci-signatures/notation-envelope.ts'
import type { SignedSubject } from '../../../src/oci-signatures/signature.ts'
import { parseSignerKeys } from '../../../src/oci-signatures/signer-keys.ts'
import { checkSigstoreBundle } from '../../../src/oci-signatures/sigstore-bundle.ts'
import { checkSimpleSigning } from '../../../src/oci-signatures/simple-signing.ts'
import { parseTrustedRoot } from '../../../src/oci-signatures/trusted-root.ts'
import { newKeyPair } from '../../oci-signatures/support/certificates.ts'
import { keyBundle, startSigstore, statement } from '../../oci-signatures/support/sigstore.ts'
import { digest, type Parser, textParser } from './parser.ts'

/** Signatures beside content in registries: everything in them is written by strangers. */

const instance = startSigstore()
const pair = newKeyPair()
const pem = pair.publicKey.export({ format: 'pem', type: 'spki' }).toString()
const [key] = parseSignerKeys(pem, 'x')
const root = JSON.stringify(instance.trustedRoot)
const identity = 'https://a.example/b/**@refs/*'
const keyless = {
  type: 'keyless' as const,
  identity,
  isIdentity: identityMatcher(identity),
  issuer: 'https://token.example',
  root: parseTrustedRoot(root, 'x'),
}
const subject: SignedSubject = {
  digest: `sha256:${'a'.repeat(64)}`,
  mediaType: 'x',
  size: 1,
  bytes: Buffer.from('x'),
  names: ['registry.example/a'],
}
const payload = JSON.stringify({
  critical: {
    identity: { 'docker-reference': 'registry.example/a' },
    image: { 'docker-manifest-digest': digest('a') },
    type: 'cosign container image signature',
  },
})
const annotations = instance.signPayload(Buffer.from(payload))
const envelope = JSON.stringify({
  payload: 'e30',
  protected: Buffer.from('{"alg":"ES256","cty":"x","crit":[]}').toString('base64url'),
  header: { x5c: [instance.root.der.toString('base64')] },
  signature: 'AAAA',
})

export const signatureParsers: readonly Parser[] = [
  textParser(
    'sigstore bundles',
    [
      JSON.stringify(instance.signStatement(statement(digest('a')))),
      JSON.stringify(keyBundle(statement(digest('a')), pair.privateKey)),
    ],
    text => {
      checkSigstoreBundle(Buffer.from(text), { signer: keyless, subject })
      checkSigstoreBundle(Buffer.from(text), { signer: key!, subject })
    },
  ),
  textParser(
    'entries of a transparency log in annotations',
    [annotations['dev.sigstore.cosign/bundle']!],
    text =>
      checkKeylessSimpleSigning(
        {
          format: 'simple-signing',
          name: 'x',
          payload: Buffer.from(payload),
          signature: Buffer.from('x'),
          certificate: annotations['dev.sigstore.cosign/certificate']!,
          rekorBundle: text,
        },
        { signer: keyless, subject },
      ),
  ),
  textParser('certificates in annotations', [annotations['dev.sigstore.cosign/certificate']!], text =>
    checkKeylessSimpleSigning(
      {
        format: 'simple-signing',
        name: 'x',
        payload: Buffer.from(payload),
        signature: Buffer.from('x'),
        certificate: text,
        rekorBundle: annotations['dev.sigstore.cosign/bundle']!,
      },
      { signer: keyless, subject },
    ),
  ),
  textParser('signed payloads of cosign', [payload], text =>
    checkSimpleSigning(
      { payload: Buffer.from(text), signature: Buffer.from('x') },
      { signer: key!, subject },
    ),
  ),
  textParser('envelopes of notation', [envelope], text => parseEnvelope(Buffer.from(text))),
  textParser('trusted roots', [root], text => parseTrustedRoot(text, 'x')),
  textParser('trusted identities', ['x509.subject: C=US, ST=WA, O=a\\, b'], text =>
    parseTrustedIdentity(text),
  ),
  textParser('certificate files', [instance.root.pem], text => parseCertificates(text)),
  textParser('public keys of publishers', [pem], text => parseSignerKeys(text, 'x')),
  textParser('identities of certificates', ['https://a.example/b/c@refs/d'], text =>
    keyless.isIdentity(text),
  ),
]
