import { createHash, type KeyObject, sign } from 'node:crypto'
import {
  authorityExtensions,
  extension,
  type Issued,
  issue,
  newKeyPair,
  signingExtensions,
  spki,
} from './certificates.ts'
import { der, octets } from './der.ts'

/**
 * A sigstore instance of one process: an authority as Fulcio, a certificate transparency log and a transparency log as Rekor. Its answers
 * really verify; cosign accepts them, too.
 */

const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
const base64 = (bytes: Uint8Array | string) => Buffer.from(bytes).toString('base64')

export interface SignOptions {
  identity?: string
  issuer?: string
  /** when it was signed, by the log */
  at?: Date
  certificateFrom?: Date
  purpose?: string
  withoutTransparency?: boolean
  authority?: Issued
  ctLog?: KeyObject
  log?: KeyObject
  /** that the log has an entry of */
  loggedCertificate?: Issued
}

const logName = 'log.example'

export function startSigstore() {
  const root = issue({
    subject: [['CN', 'test root']],
    from: new Date(Date.now() - 86_400_000),
    to: new Date(Date.now() + 86_400_000),
    extensions: authorityExtensions(),
  })
  const ctLog = newKeyPair()
  const log = newKeyPair()
  const validFor = { start: new Date(Date.now() - 86_400_000 * 30).toISOString() }
  const logEntry = ({ publicKey }: { publicKey: KeyObject }, baseUrl: string) => ({
    baseUrl,
    hashAlgorithm: 'SHA2_256',
    publicKey: { rawBytes: base64(spki(publicKey)), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor },
    logId: { keyId: base64(sha256(spki(publicKey))) },
  })
  const trustedRoot = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [logEntry(log, `https://${logName}`)],
    ctlogs: [logEntry(ctLog, 'https://ct.example')],
    certificateAuthorities: [
      {
        subject: { organization: 'test', commonName: 'test root' },
        uri: 'https://fulcio.example',
        certChain: { certificates: [{ rawBytes: base64(root.der) }] },
        validFor,
      },
    ],
    timestampAuthorities: [] as unknown[],
  }

  function certificate(options: SignOptions): Issued {
    const { identity = 'https://github.com/team/app/.github/workflows/release.yml@refs/tags/v1' } = options
    const { issuer = 'https://token.example', at = new Date() } = options
    const from = options.certificateFrom ?? new Date(at.getTime() - 60_000)
    const name = identity.includes('://') ? 0x86 : 0x81
    return issue({
      subject: [],
      issuer: options.authority ?? root,
      from,
      to: new Date(from.getTime() + 600_000),
      extensions: [
        ...signingExtensions(options.purpose),
        extension('2.5.29.17', der(0x30, der(name, Buffer.from(identity))), true),
        extension('1.3.6.1.4.1.57264.1.8', der(0x0c, Buffer.from(issuer))),
      ],
      ...(options.withoutTransparency
        ? {}
        : {
            lastExtension: (tbs: Buffer, issuerKey: KeyObject) =>
              transparency(tbs, { issuerKey, key: options.ctLog ?? ctLog.privateKey, at: from }),
          }),
    })
  }

  /** RFC 6962 sections 3.2 and 3.3 */
  function transparency(
    tbs: Buffer,
    { issuerKey, key, at }: { issuerKey: KeyObject; key: KeyObject; at: Date },
  ): Buffer {
    const stamp = Buffer.alloc(8)
    stamp.writeBigUInt64BE(BigInt(at.getTime()))
    const length = Buffer.from([tbs.length >> 16, (tbs.length >> 8) & 0xff, tbs.length & 0xff])
    const entry = Buffer.concat([Buffer.from([0, 1]), sha256(spki(issuerKey)), length, tbs])
    const noExtensions = Buffer.from([0, 0])
    const signature = sign('sha256', Buffer.concat([Buffer.from([0, 0]), stamp, entry, noExtensions]), key)
    const sct = Buffer.concat([
      Buffer.from([0]),
      sha256(spki(ctLog.publicKey)),
      stamp,
      noExtensions,
      Buffer.from([4, 3, 0, signature.length]),
      signature,
    ])
    const list = Buffer.concat([Buffer.from([0, sct.length + 2, 0, sct.length]), sct])
    return extension('1.3.6.1.4.1.11129.2.4.2', octets(list))
  }

  /** An entry of the log, which has no other, with a signed promise and a proof of inclusion. */
  function logged(body: object, { at = new Date(), log: key = log.privateKey }: SignOptions) {
    const canonical = Buffer.from(JSON.stringify(body))
    const integratedTime = Math.floor(at.getTime() / 1000)
    const keyId = sha256(spki(log.publicKey))
    const promised = { body: base64(canonical), integratedTime, logID: keyId.toString('hex'), logIndex: 0 }
    const rootHash = sha256(Buffer.from([0]), canonical)
    const note = `${logName} - 1193050959916656506\n1\n${base64(rootHash)}\n`
    const noteSignature = Buffer.concat([keyId.subarray(0, 4), sign('sha256', Buffer.from(note), key)])
    return {
      promised,
      promise: base64(sign('sha256', Buffer.from(JSON.stringify(promised)), key)),
      entry: {
        logIndex: '0',
        logId: { keyId: base64(keyId) },
        kindVersion: kindOf(body),
        integratedTime: String(integratedTime),
        inclusionPromise: {
          signedEntryTimestamp: base64(sign('sha256', Buffer.from(JSON.stringify(promised)), key)),
        },
        inclusionProof: {
          logIndex: '0',
          rootHash: base64(rootHash),
          treeSize: '1',
          hashes: [],
          checkpoint: { envelope: `${note}\n— ${logName} ${base64(noteSignature)}\n` },
        },
        canonicalizedBody: base64(canonical),
      },
    }
  }

  return {
    root,
    trustedRoot,
    /** A bundle with a signed statement, as cosign 3 makes it. */
    signStatement(payload: string, options: SignOptions = {}) {
      const signer = certificate(options)
      const envelope = dsseEnvelope(payload, signer.privateKey)
      const [signature] = envelope.signatures
      const body = {
        apiVersion: '0.0.1',
        kind: 'dsse',
        spec: {
          envelopeHash: {
            algorithm: 'sha256',
            value: sha256(Buffer.from(JSON.stringify(envelope))).toString('hex'),
          },
          payloadHash: { algorithm: 'sha256', value: sha256(Buffer.from(payload)).toString('hex') },
          signatures: [{ signature: signature!.sig, verifier: base64(signer.pem) }],
        },
      }
      return {
        mediaType: bundleType,
        verificationMaterial: {
          certificate: { rawBytes: base64(signer.der) },
          tlogEntries: [logged(body, options).entry],
        },
        dsseEnvelope: envelope,
      }
    },
    /** The annotations of a layer, as cosign 2 makes them. */
    signPayload(payload: Buffer, options: SignOptions = {}): Record<string, string> {
      const signer = certificate(options)
      const signature = base64(sign('sha256', payload, signer.privateKey))
      const body = {
        apiVersion: '0.0.1',
        kind: 'hashedrekord',
        spec: {
          data: { hash: { algorithm: 'sha256', value: sha256(payload).toString('hex') } },
          signature: {
            content: signature,
            publicKey: { content: base64((options.loggedCertificate ?? signer).pem) },
          },
        },
      }
      const { promised, promise } = logged(body, options)
      return {
        'dev.cosignproject.cosign/signature': signature,
        'dev.sigstore.cosign/certificate': signer.pem,
        'dev.sigstore.cosign/chain': root.pem,
        'dev.sigstore.cosign/bundle': JSON.stringify({ SignedEntryTimestamp: promise, Payload: promised }),
      }
    },
  }
}

export const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json'
export const signPredicate = 'https://sigstore.dev/cosign/sign/v1'

export const statement = (
  digest: string,
  { name, predicateType = signPredicate }: { name?: string; predicateType?: string } = {},
) =>
  JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [
      { ...(name === undefined ? {} : { name }), digest: { sha256: digest.slice('sha256:'.length) } },
    ],
    predicateType,
    predicate: {},
  })

/** DSSE, protocol.md: what is signed is the pre-authentication encoding. */
export function dsseEnvelope(payload: string, key: KeyObject) {
  const payloadType = 'application/vnd.in-toto+json'
  const encoded = `DSSEv1 ${payloadType.length} ${payloadType} ${Buffer.byteLength(payload)} ${payload}`
  const sig = base64(sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', Buffer.from(encoded), key))
  return { payload: base64(payload), payloadType, signatures: [{ sig }] }
}

export const keyBundle = (payload: string, key: KeyObject) => ({
  mediaType: bundleType,
  verificationMaterial: { publicKey: { hint: 'any' }, tlogEntries: [] },
  dsseEnvelope: dsseEnvelope(payload, key),
})

function kindOf(body: object): { kind: string; version: string } {
  const { kind, apiVersion } = body as { kind: string; apiVersion: string }
  return { kind, version: apiVersion }
}
