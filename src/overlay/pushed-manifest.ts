import { type ParsedManifest, parseManifest } from '../content/successors.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { isForeignLayerType, isIndexType, isManifestType, usualManifestType } from '../core/media-types.ts'
import { confusingKey } from './confusing-keys.ts'
import type { ManifestRecord, SizedContent } from './owner.ts'

/** Of a manifest with a subject, as JSON: the owner keeps them in memory, for the list of referrers. Larger ones are left out there. */
const maxListedAnnotations = 64 << 10 /* bytes */
/** Of a manifest with a subject that is pushed, as JSON. */
const maxPushedAnnotations = 256 << 10 /* bytes */

/**
 * Reads a manifest or index that a client pushes, or that the overlay has (`isStored`): strictly, as what is taken here is served to every machine. `mediaType` is what the client
 * sent it as; absent: what it says itself. Throws MANIFEST_INVALID.
 */
export function readPushedManifest(
  bytes: Uint8Array,
  { mediaType, isStored = false }: { mediaType: string | undefined; isStored?: boolean },
): ManifestRecord {
  const value = objectOf(bytes)
  const own = typeof value['mediaType'] === 'string' ? value['mediaType'] : undefined
  const type = usualManifestType(mediaType ?? own ?? '')
  if (!isIndexType(type) && !isManifestType(type)) {
    throw invalid('the media type of the manifest is not supported', {
      item: type === '' ? 'no Content-Type' : type.slice(0, 200),
      likely: 'the client pushes another format, such as Docker schema 1',
      next: 'push an OCI image manifest or index, or a Docker manifest (schema 2) or manifest list',
    })
  }
  if (value['schemaVersion'] !== 2) throw invalid('the schemaVersion of the manifest is not 2')
  const digest = digestOf(bytes)
  const parsed = parse(bytes, { type, digest })
  const descriptor = { mediaType: type, digest, size: bytes.length }
  const texts = textsOf(value['annotations'])
  const subject = parsed.subject?.digest
  // only the list of referrers needs them
  const annotations = subject === undefined ? undefined : listedAnnotations(texts, { isStored })
  const shared = { descriptor, ...defined({ annotations, subject }) }
  if (value['subject'] !== undefined && value['subject'] !== null && parsed.subject === undefined)
    throw invalid('the subject of the manifest is not a descriptor with a sha256 digest')
  if (parsed.type === 'index') {
    const [unreadable] = parsed.unreadable
    if (unreadable !== undefined)
      throw invalid(`an entry of the index is invalid: ${unreadable.reason}`, { item: unreadable.name })
    const children = parsed.manifests.map(sized)
    return { ...shared, ...defined({ artifactType: parsed.artifactType }), blobs: [], optional: [], children }
  }
  const foreign = parsed.layers.filter(({ mediaType }) => isForeignLayerType(mediaType))
  const blobs = [parsed.config, ...parsed.layers.filter(layer => !foreign.includes(layer))]
  return {
    ...shared,
    artifactType: parsed.artifactType ?? parsed.config.mediaType,
    blobs: blobs.map(sized),
    optional: foreign.map(sized),
    children: [],
  }
}

function sized({ digest, size }: Descriptor): SizedContent {
  return { digest, size }
}

function parse(bytes: Uint8Array, { type, digest }: { type: string; digest: string }): ParsedManifest {
  try {
    return parseManifest(bytes, { mediaType: type, item: digest, code: 'MANIFEST_INVALID' })
  } catch (error) {
    if (!(error instanceof AirgapError)) throw error
    throw invalid(error.message, { item: digest, cause: error })
  }
}

function objectOf(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown
  let text: string
  try {
    // invalid UTF-8 would be replaced, and a client that decodes it otherwise would read another manifest
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    value = JSON.parse(text)
  } catch (error) {
    throw invalid('the manifest is not JSON in UTF-8', { cause: error })
  }
  const confusing = confusingKey(text)
  if (confusing !== undefined)
    throw invalid(
      'clients would read different things in this manifest: a key is doubled, or differs in case',
      {
        item: confusing.slice(0, 100),
        likely: 'the manifest was made to show one content to scanners and another one to machines',
      },
    )
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw invalid('the manifest is not a JSON object')
}

function textsOf(value: unknown): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'object' || Array.isArray(value))
    throw invalid('the annotations of the manifest are not an object')
  const texts = Object.entries(value)
  if (texts.some(([, text]) => typeof text !== 'string'))
    throw invalid('an annotation of the manifest is not a text')
  return texts.length > 0 ? Object.fromEntries(texts as [string, string][]) : undefined
}

function listedAnnotations(
  texts: Record<string, string> | undefined,
  { isStored }: { isStored: boolean },
): Record<string, string> | undefined {
  const size = Buffer.byteLength(JSON.stringify(texts ?? {}))
  if (size > maxPushedAnnotations && !isStored)
    throw invalid('the annotations of the manifest are larger than 256 KiB', {
      item: `${size} bytes`,
      likely: 'the client keeps data in annotations, which every list of referrers would repeat',
      next: 'push the data as a layer',
    })
  return size > maxListedAnnotations ? undefined : texts
}

function invalid(
  what: string,
  details: { item?: string; likely?: string; next?: string; cause?: unknown } = {},
): AirgapError {
  return new AirgapError('MANIFEST_INVALID', what, {
    likely: 'the client that made the manifest violates the OCI image specification',
    next: 'push it with a current version of the client',
    ...details,
  })
}
