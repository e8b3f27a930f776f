import { parseManifest } from '../content/successors.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import type { BundleFile } from '../signature/bundle-files.ts'

/**
 * A bundle in a registry: an index of parts, and each part a manifest with one layer per blob. The first layers of the first part are
 * index.json and airgap.json, from which the tar follows (`bundle/front-layout.ts`); the parts name all other content, so that the registry
 * keeps it and mirrors copy it. The files next to the bundle are manifests that refer to the index.
 *
 * `image` is for registries that refuse media types other than those of images. What a reader uses is the same in both forms.
 */
export type PublishedForm = 'artifact' | 'image'

/** As trees are split: with this many layers, a manifest has 1.1 of the 4 MiB that registries accept. */
const blobsPerPart = 8_000

/** Version of this form, and what tells a bundle from any other index. */
const publishedVersion = '1'

export const publishedKeys = {
  version: 'io.astrago.airgap.published',
  /** digest of index.json */
  index: 'io.astrago.airgap.index',
} as const

/** A manifest with its bytes. */
export interface WrittenManifest {
  descriptor: Descriptor
  bytes: Uint8Array
}

export interface PublishedBundle {
  root: WrittenManifest
  parts: WrittenManifest[]
  /** small content that is not in the bundle: the config of the parts */
  config: WrittenManifest
}

interface PublishedInfo {
  /** name of the file */
  file: string
  version: string
  indexDigest: Digest
}

/** Returns the manifests of a bundle: a pure function. `front` is index.json and airgap.json, `blobs` all other content. */
export function describePublished(
  { front, blobs, info }: { front: Descriptor[]; blobs: Descriptor[]; info: PublishedInfo },
  form: PublishedForm,
): PublishedBundle {
  const config = configOf(form)
  const layers = [...front, ...blobs].map(layer => ({ ...layer, mediaType: layerType(form) }))
  const parts: WrittenManifest[] = []
  for (let start = 0; start < layers.length; start += blobsPerPart)
    parts.push(
      manifestOf({
        artifactType: form === 'artifact' ? mediaTypes.bundlePart : undefined,
        config: config.descriptor,
        layers: layers.slice(start, start + blobsPerPart),
      }),
    )
  const annotations = {
    [publishedKeys.version]: publishedVersion,
    [publishedKeys.index]: info.indexDigest,
    [annotationKeys.title]: info.file,
    [annotationKeys.version]: info.version,
  }
  const root = written(mediaTypes.ociIndex, {
    artifactType: form === 'artifact' ? mediaTypes.bundle : undefined,
    manifests: parts.map(({ descriptor }) => descriptor),
    annotations,
  })
  return { root, parts, config }
}

/** Returns the manifest of the files next to a bundle. `built` is the time of the statement. */
export function describeFiles(
  { files, subject, built }: { files: readonly BundleFile[]; subject: Descriptor; built: string },
  form: PublishedForm,
): WrittenManifest {
  const layers = files.map(({ suffix, bytes }) => ({
    mediaType: layerType(form),
    digest: digestOf(bytes),
    size: bytes.length,
    annotations: { [annotationKeys.title]: suffix },
  }))
  return manifestOf({
    artifactType: mediaTypes.bundleFiles,
    config: configOf(form).descriptor,
    layers,
    subject,
    annotations: { [annotationKeys.created]: built, [publishedKeys.version]: publishedVersion },
  })
}

function configOf(form: PublishedForm): WrittenManifest {
  if (form === 'artifact') return withBytes(mediaTypes.ociEmpty, Buffer.from('{}'))
  const rootfs = { type: 'layers', diff_ids: [] }
  return withBytes(
    mediaTypes.ociConfig,
    Buffer.from(canonicalJson({ architecture: 'unknown', os: 'unknown', rootfs })),
  )
}

function layerType(form: PublishedForm): string {
  return form === 'artifact' ? mediaTypes.octets : mediaTypes.ociLayer
}

function manifestOf(manifest: {
  artifactType: string | undefined
  config: Descriptor
  layers: Descriptor[]
  subject?: Descriptor
  annotations?: Record<string, string>
}): WrittenManifest {
  return written(mediaTypes.ociManifest, { ...manifest })
}

function written(
  mediaType: string,
  manifest: { artifactType: string | undefined; [member: string]: unknown },
): WrittenManifest {
  const { artifactType } = manifest
  const bytes = Buffer.from(canonicalJson({ schemaVersion: 2, mediaType, ...defined(manifest) }))
  const { descriptor } = withBytes(mediaType, bytes)
  return { descriptor: { ...descriptor, ...defined({ artifactType }) }, bytes }
}

function withBytes(mediaType: string, bytes: Uint8Array): WrittenManifest {
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes }
}

/** A bundle in a registry, as far as its root says. */
export interface PublishedRoot {
  /** the part that has index.json and airgap.json */
  firstPart: Descriptor
  /** name of the file that was pushed, if it is one that a file may have */
  file: string | undefined
}

/** Returns what the index of a bundle says. Throws BUNDLE_UNREADABLE for any other manifest. */
export function readRoot(
  bytes: Uint8Array,
  { mediaType, item }: { mediaType: string; item: string },
): PublishedRoot {
  const annotations = annotationsIn(bytes)
  const parsed = parseManifest(bytes, { mediaType, item })
  const version = annotations[publishedKeys.version]
  const [firstPart] = parsed.type === 'index' ? parsed.manifests : []
  if (version === undefined || firstPart === undefined) throw notABundle(item)
  if (version !== publishedVersion) throw newerForm(item, version)
  const file = annotations[annotationKeys.title]
  return { firstPart, file: file !== undefined && isFileName(file) ? file : undefined }
}

/** Returns index.json and airgap.json, which the first part names. Throws BUNDLE_UNREADABLE. */
export function readFirstPart(
  bytes: Uint8Array,
  { mediaType, item }: { mediaType: string; item: string },
): { index: Descriptor; table: Descriptor } {
  const parsed = parseManifest(bytes, { mediaType, item })
  const named = (title: string) =>
    parsed.type === 'manifest'
      ? parsed.layers.find(layer => layer.annotations?.[annotationKeys.title] === title)
      : undefined
  const [index, table] = [named('index.json'), named('airgap.json')]
  if (index === undefined || table === undefined) throw notABundle(item)
  return { index, table }
}

/** Returns the layers of a manifest of files, by suffix, and the time of the statement. */
export function readFilesManifest(
  bytes: Uint8Array,
  { mediaType, item }: { mediaType: string; item: string },
): { built: string; layers: [string, Descriptor][] } {
  const parsed = parseManifest(bytes, { mediaType, item })
  const layers = parsed.type === 'manifest' ? parsed.layers : []
  return {
    built: annotationsIn(bytes)[annotationKeys.created] ?? '',
    layers: layers.map(layer => [layer.annotations?.[annotationKeys.title] ?? '', layer]),
  }
}

/** Returns the annotations of a manifest that is JSON. */
export function annotationsIn(bytes: Uint8Array): Record<string, string> {
  const { annotations } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { annotations?: unknown }
  if (typeof annotations !== 'object' || annotations === null) return {}
  return Object.fromEntries(
    Object.entries(annotations).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

/** The registry chooses it: only a plain name of a tar may become a path (CWE-22). */
function isFileName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._+~-]{0,200}\.tar$/.test(text)
}

function notABundle(item: string): AirgapError {
  return new AirgapError('BUNDLE_UNREADABLE', 'this is not a bundle', {
    item,
    likely:
      'it is an image or a chart: `airgap push` without --as-bundle copies the content of a bundle only',
    next: 'pass the name that `airgap push --as-bundle` printed',
  })
}

function newerForm(item: string, version: string): AirgapError {
  return new AirgapError('BUNDLE_VERSION', 'the bundle was pushed in a form that this version cannot read', {
    item: `${item}: ${version.slice(0, 20)}`,
    likely: 'a newer version of airgap pushed it',
    next: 'pull it with the version that pushed it, or a newer one',
  })
}
