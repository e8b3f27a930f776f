import { z } from 'zod'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { isDigest } from '../core/digest.ts'
import { AirgapError, type ErrorCode } from '../core/errors.ts'
import { isIndexType } from '../core/media-types.ts'

/** What a manifest refers to (image-spec, manifest.md and image-index.md); only fields that we follow. The raw bytes are what is carried. */
export type ParsedManifest =
  | { type: 'index'; manifests: Descriptor[]; subject?: Descriptor; artifactType?: string }
  | {
      type: 'manifest'
      config: Descriptor
      layers: Descriptor[]
      subject?: Descriptor
      artifactType?: string
    }

/** An index with more entries is refused: no publisher has as many platforms. */
const maxIndexEntries = 5_000

const descriptorSchema = z
  .object({
    mediaType: z.string().max(255),
    digest: z.string().refine(isDigest, 'only sha256 digests are supported'),
    size: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
    annotations: z.record(z.string(), z.string()).optional(),
    artifactType: z.string().max(255).optional(),
    platform: z
      .object({ os: z.string(), architecture: z.string(), variant: z.string().optional() })
      .optional(),
    urls: z.array(z.string()).optional(),
  })
  .transform(value => defined(value) as Descriptor)

const manifestSchema = z.object({
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  config: descriptorSchema.optional(),
  layers: z.array(descriptorSchema).optional(),
  manifests: z.array(descriptorSchema).max(maxIndexEntries).optional(),
  subject: descriptorSchema.optional(),
})

/**
 * Parses the raw bytes of a manifest. Throws `code` unless it is clearly an index or clearly an image: of bytes that are both, two
 * clients would pull different content under one digest (CVE-2021-41190).
 */
export function parseManifest(
  bytes: Uint8Array,
  options: { mediaType: string; item: string; code?: ErrorCode },
): ParsedManifest {
  const { mediaType, item, code = 'UPSTREAM_INVALID' } = options
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
  const manifest = parsed.data
  if (manifest.mediaType !== undefined && manifest.mediaType !== mediaType) {
    throw fail(`the manifest says it is ${manifest.mediaType}, but was sent as ${mediaType}`)
  }
  if (manifest.manifests && (manifest.config || manifest.layers)) {
    throw fail('the manifest is both an index and an image (CVE-2021-41190)')
  }
  const shared = defined({ subject: manifest.subject, artifactType: manifest.artifactType })
  if (isIndexType(mediaType)) {
    if (!manifest.manifests) throw fail('the index has no list of manifests')
    return { type: 'index', manifests: manifest.manifests, ...shared } as ParsedManifest
  }
  if (!manifest.config || !manifest.layers) throw fail('the manifest has no config or layers')
  return { type: 'manifest', config: manifest.config, layers: manifest.layers, ...shared } as ParsedManifest
}

/** Returns everything that a complete copy of the manifest needs; its subject is not part of that. */
export function successors(manifest: ParsedManifest): Descriptor[] {
  return manifest.type === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers]
}
