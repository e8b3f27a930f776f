import { verify } from 'node:crypto'
import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import type { Digest } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { formatReference, type Reference, splitRepository } from '../../core/reference.ts'
import { digestSchema, sizeSchema } from '../../lock/schema.ts'
import type { ResolvedManifest } from '../../remote/contract.ts'
import { decodeBase64 } from '../../signature/base64.ts'
import type { ResolveContext } from '../kind.ts'
import { leftOutReason, notCarriable } from '../left-out-reason.ts'
import type { ImageRequest } from './entry.ts'
import { canonicalSource, type SignerKey, type Signers } from './signers.ts'

/** Signatures of cosign (SIGNATURE_SPEC.md): manifests whose layers are simple-signing payloads, each with its signature as an annotation. */

const payloadType = 'application/vnd.dev.cosign.simplesigning.v1+json'
const artifactType = 'application/vnd.dev.cosign.artifact.sig.v1+json'
const signatureAnnotation = 'dev.cosignproject.cosign/signature'

/** A payload has a few hundred bytes; a hostile registry may state anything. */
const maxPayload = 64 * 1024 /* bytes */
const maxSignature = 4096 /* characters */
const maxManifests = 20
const maxSignatures = 100

const manifestSchema = z.object({
  layers: z.array(
    z.object({
      mediaType: z.string(),
      digest: digestSchema,
      size: sizeSchema,
      annotations: z.record(z.string(), z.string()).optional(),
    }),
  ),
})

/** containers/image, "signature(5)", as cosign fills it in */
const payloadSchema = z.object({
  critical: z.object({
    type: z.string(),
    image: z.object({ 'docker-manifest-digest': z.string() }),
    identity: z.object({ 'docker-reference': z.string() }),
  }),
})

interface Signature {
  payload: Buffer
  signature: Buffer
}

/**
 * Returns the fingerprints of the keys that signed the image, sorted; undefined where no source of it requires a signature. Throws
 * SIGNATURE_INVALID unless each of its sources has a key that signed this digest under this name.
 */
export async function checkedSigners(
  request: ImageRequest,
  { digest, context }: { digest: Digest; context: ResolveContext },
): Promise<string[] | undefined> {
  const { signers = [] } = request
  if (signers.length === 0) return undefined
  const reasons: string[] = []
  const signatures = await signaturesOf(request, { digest, context, reasons })
  const signedBy = new Set<string>()
  for (const source of signers) {
    const signer = signatures
      .map(signature => signerOf(signature, { source, request, digest, reasons }))
      .find(key => key !== undefined)
    if (signer === undefined) throw unsigned(request, { source, digest, reasons })
    signedBy.add(signer.fingerprint)
  }
  return [...signedBy].sort()
}

interface Search {
  digest: Digest
  context: ResolveContext
  /** why a signature does not count */
  reasons: string[]
}

async function signaturesOf({ from }: ImageRequest, search: Search): Promise<Signature[]> {
  const { digest, context, reasons } = search
  const { registry } = context
  const { listed, tagged, unreadable } = await registry.referrers(from, digest)
  reasons.push(...unreadable.map(({ name, reason }) => `${name}: ${reason}`))
  const manifests = tagged.filter(({ tag }) => tag.endsWith('.sig')).map(({ manifest }) => manifest)
  // a registry need not repeat the type of an artifact in its list
  const candidates = listed.filter(one => one.artifactType === undefined || one.artifactType === artifactType)
  if (candidates.length > maxManifests) reasons.push(`more than ${maxManifests} referrers`)
  for (const { digest: referrer } of candidates.slice(0, maxManifests)) {
    const at: Reference = { host: from.host, repository: from.repository, digest: referrer }
    const found = await attempt(() => registry.manifest(at), { name: referrer, reasons })
    if (found !== undefined) manifests.push(found)
  }
  const signatures: Signature[] = []
  for (const manifest of manifests)
    for (const { descriptor, signature } of signedLayers(manifest)) {
      if (signatures.length >= maxSignatures) {
        reasons.push(`more than ${maxSignatures} signatures`)
        return signatures
      }
      if (descriptor.size > maxPayload) {
        reasons.push(`${descriptor.digest}: the payload is larger than ${maxPayload} bytes`)
        continue
      }
      const payload = await attempt(() => registry.blob(from, descriptor, { maxBytes: maxPayload }), {
        name: descriptor.digest,
        reasons,
      })
      if (payload !== undefined) signatures.push({ payload, signature })
    }
  return signatures
}

/** Wrong digests and outages remain errors. */
async function attempt<T>(
  work: () => Promise<T>,
  { name, reasons }: { name: string; reasons: string[] },
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!isErrorCode(error, ...notCarriable)) throw error
    reasons.push(`${name}: ${leftOutReason(error)}`)
    return undefined
  }
}

function signedLayers({ bytes }: ResolvedManifest): { descriptor: Descriptor; signature: Buffer }[] {
  const { data } = manifestSchema.safeParse(parseJson(bytes))
  return (data?.layers ?? []).flatMap(({ mediaType, digest, size, annotations = {} }) => {
    const text = annotations[signatureAnnotation] ?? ''
    const signature = text.length > maxSignature ? undefined : decodeBase64(text)
    if (mediaType !== payloadType || signature === undefined || signature.length === 0) return []
    return [{ descriptor: { mediaType, digest, size }, signature }]
  })
}

/** Returns the key of the source that made the signature; adds the reason if it does not count. */
function signerOf(
  { payload, signature }: Signature,
  options: { source: Signers; request: ImageRequest; digest: Digest; reasons: string[] },
): SignerKey | undefined {
  const { source, request, digest, reasons } = options
  // nothing of an unsigned payload is believed: the signature is checked first
  const signer = source.keys.find(({ key }) => isGood(payload, { key, signature }))
  if (signer === undefined) {
    reasons.push(`a signature is by another key than those of ${source.source}`)
    return undefined
  }
  const { data } = payloadSchema.safeParse(parseJson(payload))
  if (data?.critical.type !== 'cosign container image signature') {
    reasons.push('the signed payload is not the signature of an image')
    return undefined
  }
  const { image, identity } = data.critical
  if (image['docker-manifest-digest'] !== digest) {
    reasons.push(`a signature is for ${quoted(image['docker-manifest-digest'])}`)
    return undefined
  }
  // a publisher signs several images with one key: one of them must not pass for another
  const names = [request.reference, request.from].map(nameOf)
  if (names.includes(signedName(identity['docker-reference']))) return signer
  reasons.push(`a signature is for the name ${quoted(identity['docker-reference'])}`)
  return undefined
}

function isGood(payload: Buffer, { key, signature }: { key: SignerKey['key']; signature: Buffer }): boolean {
  try {
    return verify(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', payload, key, signature)
  } catch {
    return false
  }
}

function nameOf({ host, repository }: Pick<Reference, 'host' | 'repository'>): string {
  return canonicalSource(`${host}/${repository}`)
}

/** cosign writes the repository, or the identity that the signer sets: with a tag or a digest, too. */
function signedName(text: string): string {
  const [name = ''] = text.split('@')
  const colon = name.lastIndexOf(':')
  return nameOf(splitRepository(colon > name.lastIndexOf('/') ? name.slice(0, colon) : name))
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 120))
}

function unsigned(
  request: ImageRequest,
  { source, digest, reasons }: { source: Signers; digest: Digest; reasons: string[] },
): AirgapError {
  const name = formatReference(request.from)
  const what =
    reasons.length === 0 ? 'the image is not signed' : 'the image has no valid signature by the required keys'
  return new AirgapError('SIGNATURE_INVALID', `${what} (signatures: ${source.source})`, {
    item: `${name} ${digest} (${request.at})`,
    ...defined({ likely: [...new Set(reasons)].slice(0, 3).join('; ') || undefined }),
    next: `do not use this image; compare the key with the publisher's, and ask the publisher under which name and with which key the image is signed`,
  })
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
