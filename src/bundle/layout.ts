import type { Artifact } from '../content/artifact.ts'
import { canonicalJson, compareText } from '../core/canonical-json.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, digestOf, Hasher } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import {
  type BundleEntry,
  blobPath,
  endOf,
  headerOf,
  placeEntries,
  trailerSize,
  type UnplacedEntry,
} from './entry.ts'
import { bundleFormat, encodeFrontTable } from './front-table.ts'
import { gatherBlobs, type LayoutBlob } from './layout-blobs.ts'
import { paddingOf } from './tar-header.ts'

/** Every byte of a bundle that does not come from upstream, and the position of every byte that does. */
export interface Layout {
  entries: BundleEntry[]
  /** of the whole tar, in bytes */
  size: number
  /** digest of index.json, from which all content can be verified */
  indexDigest: Digest
  /** digest of all headers and inline bytes: the same for equal layouts only */
  layoutDigest: Digest
}

export interface BundleInfo {
  name: string
  version: string
  /** oldest version of the tool that opens this bundle, for the message of an older one */
  minimumTool?: string
  /** more annotations of index.json */
  annotations?: Record<string, string>
}

/** Annotation keys of index.json. */
export const bundleKeys = {
  format: 'io.astrago.airgap.format',
  minimumTool: 'io.astrago.airgap.minimum-tool',
} as const

export const ociLayoutBytes = Buffer.from('{"imageLayoutVersion":"1.0.0"}')

/**
 * Plans the layout of the tar: a pure function, the same for the same artifacts in any order. Throws LOCK_INVALID if one digest has two
 * sizes, NAME_COLLISION if one name has two contents.
 */
export function planLayout(artifacts: Artifact[], info: BundleInfo): Layout {
  const roots = sortRoots(artifacts)
  const blobs = gatherBlobs(artifacts)
  for (const root of roots) {
    if (!blobs.has(root.digest)) {
      throw new AirgapError('INTERNAL', 'an artifact lacks its own manifest', { item: root.digest })
    }
  }
  const index = encodeIndex(roots, info)
  const rest = orderBlobs([...blobs.values()])
  const indexDigest = digestOf(index)
  const front = frontEntries({ index, table: encodeFrontTable({ index: indexDigest, entries: rest }) })
  return layoutOf([...front, ...rest], indexDigest)
}

/** Places the entries, from oci-layout on. Throws LOCK_INVALID above 2^53 bytes. */
export function layoutOf(unplaced: UnplacedEntry[], indexDigest: Digest): Layout {
  const entries = placeEntries(unplaced, 0)
  const size = endOf(entries.at(-1)!) + trailerSize
  if (!Number.isSafeInteger(size))
    throw new AirgapError('LOCK_INVALID', 'the bundle would be larger than 2^53 bytes')
  const hasher = new Hasher()
  for (const { bytes } of fixedBytes({ entries, size })) hasher.update(bytes)
  return { entries, size, indexDigest, layoutDigest: hasher.digest() }
}

/** Yields everything that is known before a download: headers, inline content with its padding, and the end of the tar. */
export function* fixedBytes(
  layout: Pick<Layout, 'entries' | 'size'>,
): Generator<{ offset: number; bytes: Uint8Array }> {
  for (const entry of layout.entries) {
    yield { offset: entry.headerOffset, bytes: headerOf(entry) }
    if (entry.bytes !== undefined) yield { offset: entry.dataOffset, bytes: entry.bytes }
    yield { offset: entry.dataOffset + entry.size, bytes: Buffer.alloc(paddingOf(entry.size)) }
  }
  yield { offset: layout.size - trailerSize, bytes: Buffer.alloc(trailerSize) }
}

/** The first three entries of every bundle. */
export function frontEntries({ index, table }: { index: Uint8Array; table: Uint8Array }): UnplacedEntry[] {
  return [
    inlineEntry('oci-layout', ociLayoutBytes),
    inlineEntry('index.json', index),
    inlineEntry('airgap.json', table),
  ]
}

function inlineEntry(path: string, bytes: Uint8Array): UnplacedEntry {
  return { path, type: 'file', size: bytes.length, mode: 0o644, bytes }
}

/** Sorts by kind and name. Equal roots are merged; two contents of one name are an error. */
function sortRoots(artifacts: Artifact[]): Descriptor[] {
  const roots = new Map<string, Descriptor>()
  for (const { root } of artifacts) {
    const kind = root.annotations?.[annotationKeys.kind] ?? ''
    const name = root.annotations?.[annotationKeys.refName] ?? ''
    const key = `${kind}\0${name}\0${name === '' ? root.digest : ''}`
    const other = roots.get(key)
    if (other !== undefined && canonicalJson(other) !== canonicalJson(root)) {
      throw new AirgapError(
        'NAME_COLLISION',
        `two contents have the same name: ${other.digest} and ${root.digest}`,
        {
          item: `${kind} ${name}`,
          next: 'rename one of them, or remove it from the manifest',
        },
      )
    }
    roots.set(key, root)
  }
  return [...roots].sort(([a], [b]) => compareText(a, b)).map(([, root]) => root)
}

function encodeIndex(roots: Descriptor[], info: BundleInfo): Buffer {
  const annotations = {
    ...info.annotations,
    [bundleKeys.format]: String(bundleFormat),
    [annotationKeys.title]: info.name,
    [annotationKeys.version]: info.version,
    [bundleKeys.minimumTool]: info.minimumTool,
  }
  return Buffer.from(
    canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: roots, annotations }),
  )
}

/** Orders the blobs: what readers need first, what a site needs to start, then the rest; each by digest or path. */
function orderBlobs(blobs: LayoutBlob[]): UnplacedEntry[] {
  const sorted = blobs.sort((a, b) => compareText(a.digest, b.digest))
  const named = sorted.filter(blob => blob.files.length > 0)
  const plain = sorted.filter(blob => blob.files.length === 0)
  named.sort((a, b) => compareText(a.files[0]!.path, b.files[0]!.path))
  return [
    ...plain.filter(isFront).map(blob => contentEntry(blob, blobPath(blob.digest), 0o644)),
    ...named.flatMap(namedEntries),
    ...plain.filter(blob => !isFront(blob)).map(blob => contentEntry(blob, blobPath(blob.digest), 0o644)),
  ]
}

function isFront(blob: LayoutBlob): boolean {
  return blob.front || blob.bytes !== undefined
}

function contentEntry(blob: LayoutBlob, path: string, mode: number): UnplacedEntry {
  const { digest, size, bytes, sources } = blob
  return { path, type: 'file', size, mode, digest, ...(bytes === undefined ? { sources } : { bytes }) }
}

/** Returns the content once under its first name, then hard links: the blob, and any other names. */
function namedEntries(blob: LayoutBlob): UnplacedEntry[] {
  const [first, ...others] = blob.files
  const { path: target, mode } = first!
  const link = (path: string): UnplacedEntry => ({
    path,
    type: 'link',
    size: 0,
    mode,
    target,
    digest: blob.digest,
  })
  return [
    contentEntry(blob, target, mode),
    link(blobPath(blob.digest)),
    ...others.map(file => link(file.path)),
  ]
}
