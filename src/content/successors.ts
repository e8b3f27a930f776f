import { z } from 'zod'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { isDigest } from '../core/digest.ts'
import { AirgapError, type ErrorCode } from '../core/errors.ts'
import { isIndexType, usualManifestType } from '../core/media-types.ts'
import { type Platform, readPlatform } from '../core/platform.ts'

/** What a manifest refers to (image-spec, manifest.md and image-index.md); only fields that we follow. The raw bytes are what is carried. */
export type ParsedManifest =
  | {
      type: 'index'
      manifests: Descriptor[]
      /** entries that cannot be followed; an image is complete without those of platforms that are not requested */
      unreadable: UnreadableEntry[]
      subject?: Descriptor
      artifactType?: string
    }
  | {
      type: 'manifest'
      config: Descriptor
      layers: Descriptor[]
      subject?: Descriptor
      artifactType?: string
    }

/** An entry of an index that is not a descriptor that we can follow. */
export interface UnreadableEntry {
  /** its digest as written, or its position: `manifests[3]` */
  name: string
  /** a clause: `its digest is not a sha256 digest` */
  reason: string
  platform?: Platform
}

/** An index with more entries is refused: no publisher has as many platforms. */
const maxIndexEntries = 5_000

/** An optional text: Go programs write null or "" for one that is absent. Other values are ignored, as the bytes are carried anyway. */
const optionalText = z
  .unknown()
  .optional()
  .transform(value => (isText(value) && value !== '' ? value : undefined))

const descriptorSchema = z
  .object(
    {
      mediaType: z.string('no media type').max(255).transform(usualManifestType),
      digest: z.string('no digest').refine(isDigest, 'its digest is not a sha256 digest'),
      size: z.int('its size is not a number of bytes').nonnegative(),
      annotations: z.unknown().optional().transform(textsOf),
      artifactType: optionalText,
      platform: z.unknown().optional().transform(platformOf),
      urls: z
        .unknown()
        .optional()
        .transform(value => (Array.isArray(value) ? value.filter(isText) : undefined)),
    },
    'it is not a descriptor',
  )
  .transform(value => defined(value) as Descriptor)

const manifestSchema = z.object({
  mediaType: optionalText,
  artifactType: optionalText,
  config: descriptorSchema.nullish(),
  layers: z.array(descriptorSchema).nullish(),
  manifests: z.array(z.unknown()).max(maxIndexEntries).nullish(),
  // nothing follows the subject of a manifest that it carries: one of another algorithm does no harm
  subject: z
    .unknown()
    .optional()
    .transform(value => descriptorSchema.safeParse(value).data),
})

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function textsOf(value: unknown): Record<string, string> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.fromEntries(Object.entries(value).filter(([, text]) => isText(text)))
}

/** The platform of an entry as it is written; undefined where it has none. */
function platformOf(value: unknown): Platform | undefined {
  return value === undefined || value === null ? undefined : readPlatform(value)
}

/**
 * Parses the raw bytes of a manifest as Go programs write it: null is the same as absent, lists may be missing. Throws `code` unless
 * it is clearly an index or clearly an image: of bytes that are both, two clients would pull different content under one digest
 * (CVE-2021-41190).
 */
export function parseManifest(
  bytes: Uint8Array,
  options: { mediaType: string; item: string; code?: ErrorCode },
): ParsedManifest {
  const { item, code = 'UPSTREAM_INVALID' } = options
  const mediaType = usualManifestType(options.mediaType)
  const fail = (what: string, cause?: unknown) =>
    new AirgapError(code, what, {
      item,
      likely: 'the registry or the publisher violates the OCI image format',
      next: 'report it to the publisher of the image',
      cause,
    })
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw fail('the manifest is not JSON', error)
  }
  const parsed = manifestSchema.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw fail(`the manifest is malformed: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  const { config, layers, manifests, ...manifest } = parsed.data
  if (manifest.mediaType !== undefined && usualManifestType(manifest.mediaType) !== mediaType) {
    throw fail(`the manifest says it is ${manifest.mediaType}, but was sent as ${mediaType}`)
  }
  if (manifests && (config || layers)) {
    throw fail('the manifest is both an index and an image (CVE-2021-41190)')
  }
  const shared = defined({ subject: manifest.subject, artifactType: manifest.artifactType })
  if (isIndexType(mediaType)) {
    if (config || layers) throw fail('an image was sent as an index')
    return { type: 'index', ...readEntries(manifests ?? []), ...shared }
  }
  if (manifests) throw fail('an index was sent as an image')
  if (!config) throw fail('the manifest has no config')
  return { type: 'manifest', config, layers: layers ?? [], ...shared }
}

function readEntries(entries: readonly unknown[]): {
  manifests: Descriptor[]
  unreadable: UnreadableEntry[]
} {
  const manifests: Descriptor[] = []
  const unreadable: UnreadableEntry[] = []
  for (const [i, entry] of entries.entries()) {
    const parsed = descriptorSchema.safeParse(entry)
    if (parsed.success) manifests.push(parsed.data)
    else unreadable.push(unreadableEntry(entry, { position: i, reason: parsed.error.issues[0]?.message }))
  }
  return { manifests, unreadable }
}

function unreadableEntry(
  entry: unknown,
  { position, reason = 'it is malformed' }: { position: number; reason: string | undefined },
): UnreadableEntry {
  const { digest, platform } = (entry ?? {}) as { digest?: unknown; platform?: unknown }
  const isPrintable = isText(digest) && /^[\x21-\x7e]{1,200}$/.test(digest)
  return defined({
    name: isPrintable ? digest : `manifests[${position}]`,
    reason,
    platform: platformOf(platform),
  })
}

/** Returns everything that a complete copy of the manifest needs; its subject is not part of that. */
export function successors(manifest: ParsedManifest): Descriptor[] {
  return manifest.type === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers]
}
