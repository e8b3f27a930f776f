import type { Artifact, PlannedBlob, Source } from '../content/artifact.ts'
import { canonicalJson, compareText } from '../core/canonical-json.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, digestOf, isDigest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { safeRelativePath } from '../core/safe-path.ts'
import { reservedPath } from './front-table.ts'

/** One blob with what all artifacts state about it. */
export interface LayoutBlob {
  digest: Digest
  size: number
  front: boolean
  sources: Source[]
  bytes?: Uint8Array
  /** other names in the tar, sorted by path */
  files: { path: string; mode: number }[]
}

/** Returns each blob once, however many artifacts share it. Throws LOCK_INVALID, NAME_COLLISION, MANIFEST_INVALID. */
export function gatherBlobs(artifacts: Artifact[]): Map<Digest, LayoutBlob> {
  const blobs = new Map<Digest, LayoutBlob>()
  for (const artifact of inOrder(artifacts)) {
    for (const { descriptor, bytes } of artifact.inline)
      entryOf(blobs, descriptor).bytes ??= checked(descriptor, bytes)
    for (const planned of artifact.blobs) addPlanned(entryOf(blobs, planned.descriptor), planned)
  }
  const empty = Buffer.alloc(0)
  for (const blob of blobs.values()) {
    if (blob.size === 0) blob.bytes ??= checked(blob, empty)
  }
  checkFiles([...blobs.values()])
  return blobs
}

/** Sorts the artifacts, so that merged sources have one order. */
function inOrder(artifacts: Artifact[]): Artifact[] {
  return artifacts
    .map(artifact => ({ artifact, key: canonicalJson(artifact.root) }))
    .sort((a, b) => compareText(a.key, b.key))
    .map(({ artifact }) => artifact)
}

function entryOf(blobs: Map<Digest, LayoutBlob>, { digest, size }: Descriptor): LayoutBlob {
  const known = blobs.get(digest)
  if (known === undefined) {
    if (!isDigest(digest) || !Number.isSafeInteger(size) || size < 0) {
      throw new AirgapError('LOCK_INVALID', `the lock has an invalid digest or size: ${size} bytes`, {
        item: String(digest).slice(0, 100),
        next: 'run `airgap lock` again',
      })
    }
    const blob: LayoutBlob = { digest, size, front: false, sources: [], files: [] }
    blobs.set(digest, blob)
    return blob
  }
  if (known.size === size) return known
  throw new AirgapError(
    'LOCK_INVALID',
    `the lock has one digest with two sizes: ${known.size} and ${size} bytes`,
    {
      item: digest,
      likely: 'the lock was edited, or a publisher states a wrong size',
      next: 'run `airgap lock` again and compare the two locks',
    },
  )
}

function checked(descriptor: Pick<Descriptor, 'digest' | 'size'>, bytes: Uint8Array): Uint8Array {
  if (bytes.length === descriptor.size && digestOf(bytes) === descriptor.digest) return bytes
  throw new AirgapError('LOCK_INVALID', 'inline content does not have its digest', {
    item: descriptor.digest,
    likely: 'the lock was edited by hand',
    next: 'run `airgap lock` again',
  })
}

function addPlanned(blob: LayoutBlob, planned: PlannedBlob): void {
  blob.front ||= planned.front ?? false
  const known = new Set(blob.sources.map(source => canonicalJson(source)))
  blob.sources.push(...planned.sources.filter(source => !known.has(canonicalJson(source))))
  const { file } = planned
  if (file === undefined) return
  const same = blob.files.find(other => other.path === file.path)
  if (same === undefined) blob.files.push(file)
  if (blob.files.some(other => other.mode !== file.mode)) {
    throw collision(
      `${file.path} has the same content as another file but another mode, and hard links share one mode`,
      file.path,
    )
  }
  blob.files.sort((a, b) => compareText(a.path, b.path))
}

function checkFiles(blobs: LayoutBlob[]): void {
  const paths = new Set<string>()
  for (const { path, mode } of blobs.flatMap(blob => blob.files)) {
    safeRelativePath(path, 'MANIFEST_INVALID')
    if (Buffer.byteLength(path) > 100 || !Number.isInteger(mode) || mode < 0 || mode > 0o777) {
      throw new AirgapError('MANIFEST_INVALID', 'the path is longer than 100 bytes, or the mode is invalid', {
        item: path,
        next: 'use a shorter path: it is a name in the tar itself',
      })
    }
    if (reservedPath.test(path)) throw collision('the bundle itself uses this name', path)
    if (paths.has(path)) throw collision('two files have the same name', path)
    paths.add(path)
  }
  for (const path of paths) {
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = parts.slice(0, depth).join('/')
      if (paths.has(folder)) throw collision(`${folder} is both a file and a folder`, path)
    }
  }
}

function collision(what: string, item: string): AirgapError {
  return new AirgapError('NAME_COLLISION', what, { item, next: 'change the path of one of them' })
}
