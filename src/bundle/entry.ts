import type { Source } from '../content/artifact.ts'
import { defined } from '../core/defined.ts'
import { type Digest, hexOf, isDigest } from '../core/digest.ts'
import { blockSize, encodeHeader, paddingOf } from './tar-header.ts'

/** One entry of the tar, without its position. */
export interface UnplacedEntry {
  path: string
  type: 'file' | 'link'
  /** bytes of content; 0 for a link */
  size: number
  mode: number
  /** of a hard link: the path of an earlier entry */
  target?: string
  /** of every entry that is or links to a blob */
  digest?: Digest
  /** content that is a function of the lock */
  bytes?: Uint8Array
  /** where other content can be fetched from, in order of preference */
  sources?: Source[]
}

export interface BundleEntry extends UnplacedEntry {
  /** position of the tar header: bytes from the start of the bundle */
  headerOffset: number
  dataOffset: number
}

/** Two zero blocks end a tar; the bundle is not padded to a record of 10,240 bytes. */
export const trailerSize = 2 * blockSize

/** Returns the entries with their positions: they follow one another without a gap from `start`. */
export function placeEntries(entries: UnplacedEntry[], start: number): BundleEntry[] {
  let offset = start
  return entries.map(entry => {
    const headerOffset = offset
    offset = headerOffset + blockSize + entry.size + paddingOf(entry.size)
    return { ...entry, headerOffset, dataOffset: headerOffset + blockSize }
  })
}

/** Returns where the next entry begins. */
export function endOf(entry: BundleEntry): number {
  return entry.dataOffset + entry.size + paddingOf(entry.size)
}

export function headerOf(entry: UnplacedEntry): Buffer {
  const { path, type, size, mode, target } = entry
  return encodeHeader(defined({ path, type, size, mode, target }))
}

/** Returns the path of a blob (OCI image-spec, image-layout.md, "Blobs"). */
export function blobPath(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`
}

/** Returns the digest of a `blobs/sha256/…` path; undefined for any other path. */
export function digestOfPath(path: string): Digest | undefined {
  if (!path.startsWith('blobs/sha256/')) return undefined
  const digest = `sha256:${path.slice('blobs/sha256/'.length)}`
  return isDigest(digest) ? digest : undefined
}
