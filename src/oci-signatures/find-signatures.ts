import { z } from 'zod'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type AirgapError, isErrorCode } from '../core/errors.ts'
import type { Reference } from '../core/reference.ts'
import { leftOutReason, notCarriable } from '../lock/left-out-reason.ts'
import { digestSchema, sizeSchema } from '../lock/schema.ts'
import type { RegistryClient, ResolvedManifest } from '../remote/contract.ts'
import { decodeBase64 } from '../signature/base64.ts'
import { type FoundSignature, parseJson } from './signature.ts'

/** The types of cosign (SIGNATURE_SPEC.md, BUNDLE_SPEC.md) and of notation (specifications, signature-specification.md). */
const payloadType = 'application/vnd.dev.cosign.simplesigning.v1+json'
const cosignType = 'application/vnd.dev.cosign.artifact.sig.v1+json'
const bundlePrefix = 'application/vnd.dev.sigstore.bundle'
const notationType = 'application/vnd.cncf.notary.signature'

/** What cosign 3 signs images with; other predicates of a bundle (SBOMs, provenance) are statements about the image, not its approval. */
export const signPredicate = 'https://sigstore.dev/cosign/sign/v1'

/** A hostile registry may list anything, without end. */
const maxReferrers = 100
const maxSignatures = 100
const maxPayload = 64 * 1024 /* bytes */
const maxDocument = 1024 * 1024 /* bytes */
const maxSignature = 4096 /* characters */
const maxAnnotation = 64 * 1024 /* characters */

const manifestSchema = z.object({
  artifactType: z.unknown().optional(),
  config: z.object({ mediaType: z.string() }).nullish(),
  layers: z.array(
    z.object({
      mediaType: z.string(),
      digest: digestSchema,
      size: sizeSchema,
      annotations: z.record(z.string(), z.string()).nullish(),
    }),
  ),
})
type Layer = z.infer<typeof manifestSchema>['layers'][number]

interface Search {
  from: Reference
  registry: RegistryClient
  /** gets why a signature that the registry names does not count */
  reasons: string[]
}

/** Finds the signatures of a manifest, in every format that is stored beside it. Wrong digests and outages are errors. */
export async function findSignatures(
  { descriptor }: ResolvedManifest,
  search: Search,
): Promise<FoundSignature[]> {
  const { from, registry, reasons } = search
  const { listed, tagged, unreadable } = await registry.referrers(from, descriptor.digest)
  reasons.push(...unreadable.map(({ name, reason }) => `${name}: ${reason}`))
  const manifests = tagged
    .filter(({ tag }) => tag.endsWith('.sig'))
    .map(({ tag, manifest }) => ({ name: tag, manifest }))
  const candidates = listed.filter(isCandidate)
  if (candidates.length > maxReferrers) reasons.push(`more than ${maxReferrers} referrers`)
  for (const { digest: name } of candidates.slice(0, maxReferrers)) {
    const at: Reference = { host: from.host, repository: from.repository, digest: name }
    const manifest = await attempt(() => registry.manifest(at), { name, reasons })
    if (manifest !== undefined) manifests.push({ name, manifest })
  }
  const signatures: FoundSignature[] = []
  for (const { name, manifest } of manifests)
    for (const layer of signatureLayers(manifest)) {
      if (signatures.length >= maxSignatures) {
        reasons.push(`more than ${maxSignatures} signatures`)
        return signatures
      }
      const found = await readSignature(layer, { name, ...search })
      if (found !== undefined) signatures.push(found)
    }
  return signatures
}

/** A registry need not repeat the type of an artifact, or its annotations, in its list. */
function isCandidate({ artifactType, annotations = {} }: Descriptor): boolean {
  const predicate = annotations['dev.sigstore.bundle.predicateType']
  if (artifactType?.startsWith(bundlePrefix)) return predicate === undefined || predicate === signPredicate
  return artifactType === undefined || artifactType === cosignType || artifactType === notationType
}

type SignatureLayer = Layer & { format: FoundSignature['format'] }

function signatureLayers({ bytes }: ResolvedManifest): SignatureLayer[] {
  const { data } = manifestSchema.safeParse(parseJson(bytes))
  if (data === undefined) return []
  const isNotation = data.artifactType === notationType || data.config?.mediaType === notationType
  const formatOf = (mediaType: string): FoundSignature['format'] | undefined => {
    if (isNotation) return 'notation'
    if (mediaType === payloadType) return 'simple-signing'
    return mediaType.startsWith(bundlePrefix) ? 'sigstore-bundle' : undefined
  }
  return data.layers.flatMap(layer => {
    const format = formatOf(layer.mediaType)
    return format === undefined ? [] : [{ ...layer, format }]
  })
}

async function readSignature(
  { format, annotations, mediaType, digest, size }: SignatureLayer,
  { name, from, registry, reasons }: Search & { name: string },
): Promise<FoundSignature | undefined> {
  const text = (key: string) => {
    const value = annotations?.[key]
    return value === undefined || value.length > maxAnnotation ? undefined : value
  }
  const written = text('dev.cosignproject.cosign/signature') ?? ''
  const signature = written.length > maxSignature ? undefined : decodeBase64(written)
  if (format === 'simple-signing' && !signature?.length) return undefined
  const maxBytes = format === 'simple-signing' ? maxPayload : maxDocument
  if (size > maxBytes) {
    reasons.push(`${digest}: a signature is larger than ${maxBytes} bytes`)
    return undefined
  }
  const bytes = await attempt(() => registry.blob(from, { mediaType, digest, size }, { maxBytes }), {
    name: digest,
    reasons,
  })
  if (bytes === undefined) return undefined
  if (format === 'notation') return { format, name, bytes, envelope: mediaType }
  if (format === 'sigstore-bundle') return { format, name, bytes }
  return {
    format,
    name,
    payload: bytes,
    signature: signature!,
    ...defined({
      certificate: text('dev.sigstore.cosign/certificate'),
      rekorBundle: text('dev.sigstore.cosign/bundle'),
      timestamp: text('dev.sigstore.cosign/rfc3161timestamp'),
    }),
  }
}

async function attempt<T>(
  work: () => Promise<T>,
  { name, reasons }: { name: string; reasons: string[] },
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!isErrorCode(error, ...notCarriable)) throw error
    reasons.push(`${name}: ${leftOutReason(error as AirgapError)}`)
    return undefined
  }
}
