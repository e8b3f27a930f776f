import { rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { openFileSource } from '../bundle/byte-source.ts'
import { layoutOfFront } from '../bundle/front-layout.ts'
import type { Layout } from '../bundle/layout.ts'
import { type BundleStore, openBundle } from '../bundle/reader.ts'
import { signedContent } from '../bundle/signed-content.ts'
import type { SlotCopy } from '../bundle/slot-copies.ts'
import { verifyBundle, verifyStructure } from '../bundle/verify.ts'
import { BundleWriter, type Slot } from '../bundle/writer.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { readGuarded } from '../core/guarded-file.ts'
import type { Progress } from '../core/progress.ts'
import { namesIn } from '../core/read-folder.ts'
import { type BundleFile, bundleSuffixes, isBundleSuffix, maxBundleFile } from '../signature/bundle-files.ts'
import type { SignatureCheck } from '../signature/check-signatures.ts'
import type { PublicKey } from '../signature/public-key.ts'
import { eachAtOnce } from './each-at-once.ts'
import { readFirstPart, readRoot } from './published-bundle.ts'
import { fetchBlob, fetchManifest, fetchSmall } from './published-content.ts'
import { checkFetchedFiles, fetchBundleFiles, writeBundleFiles } from './published-files.ts'
import type { RegistryPlace } from './registry-place.ts'

/** As `bundle/read-front.ts` allows. */
const maxIndexSize = 64 << 20 /* bytes */
const maxTableSize = 160 << 20 /* bytes */

export interface PullOptions {
  /** default: the name of the file that was pushed, in the current folder */
  out: string | undefined
  /** digest of index.json, received separately */
  expect: Digest | undefined
  keys: readonly PublicKey[]
  threshold: number
  /** replace another file at `out` */
  replace: boolean
  /** paths of earlier bundles, whose content is copied instead of fetched */
  reuse: readonly string[]
  dryRun: boolean
  jobs: number
  progress: Progress
  signal: AbortSignal
}

export interface PulledBundle {
  path: string
  name: string
  version: string
  /** bytes */
  size: number
  /** of index.json */
  digest: Digest
  /** of the manifest in the registry */
  manifest: Digest
  /** false where the bundle was there already, every byte of it */
  pulled: boolean
  blobs: number
  /** suffixes of the files next to it that the registry has; none where other ones were there already, and stay */
  files: string[]
  signed: SignatureCheck | undefined
}

/**
 * Pulls a bundle that `pushBundle` put into a registry: the same bytes, with the files next to it. Digest and signatures are checked before
 * its content is fetched; each blob is verified once, while it is written, and an interrupted pull continues. Throws BUNDLE_UNREADABLE for a
 * manifest that is not a bundle, DIGEST_MISMATCH, SIGNATURE_INVALID, UNTRUSTED, USAGE where `out` is another file.
 */
export async function pullBundle(place: RegistryPlace, options: PullOptions): Promise<PulledBundle> {
  const { progress } = options
  progress.phase('Reading the index')
  const published = await fetchFront(place)
  const { layout, front, root } = published
  const { name, version } = front.info
  refuseUnexpected(layout.indexDigest, { expect: options.expect, item: place.name })
  const path = resolve(options.out ?? published.file ?? `${name}-${version}.tar`)
  const content = signedContent({ ...front, entries: () => front.entries })
  const files = await fetchBundleFiles(place, { root, content })
  const { keys, threshold } = options
  const signed =
    keys.length === 0
      ? undefined
      : await checkFetchedFiles(files, {
          bundle: path,
          name: place.name,
          keys,
          threshold,
          content,
          now: new Date(),
        })
  const result = {
    path,
    name,
    version,
    size: layout.size,
    digest: layout.indexDigest,
    manifest: root,
    blobs: layout.entries.filter(entry => entry.type === 'file' && entry.digest !== undefined).length,
    signed,
  }
  const own = ownFiles(files, { path, pushed: published.file })
  const suffixes = own.map(({ suffix }) => suffix)
  const earlier = await earlierFile(path, layout.indexDigest)
  if (earlier === 'another' && !options.replace) throw targetExists(path)
  if (options.dryRun) return { ...result, pulled: false, files: suffixes }
  const isHere = earlier === 'same' && (await isIntact(path, options))
  if (!isHere) await write(path, { place, layout, options, keepsFiles: earlier === 'same' })
  if (earlier === 'same' && !(await isOfStatementHere(path, own))) {
    progress.note(`the files next to ${path} are not those in the registry: they stay as they are`)
    return { ...result, pulled: !isHere, files: [] }
  }
  await writeBundleFiles(path, own)
  return { ...result, pulled: !isHere, files: suffixes }
}

/** Whether files may be added to those next to this bundle: signatures of another statement would be wrong there. */
async function isOfStatementHere(path: string, files: readonly BundleFile[]): Promise<boolean> {
  const statement = files.find(({ suffix }) => suffix === bundleSuffixes.statement)
  const here = await readGuarded(`${path}${bundleSuffixes.statement}`, maxBundleFile)
  return here === undefined || statement === undefined || statement.bytes.equals(here.bytes)
}

async function fetchFront(place: RegistryPlace) {
  const { bytes, mediaType, digest: root, item } = await fetchManifest(place)
  const { firstPart, file } = readRoot(bytes, { mediaType, item })
  const part = await fetchManifest(place, { digest: firstPart.digest })
  const named = readFirstPart(part.bytes, part)
  const index = await fetchSmall(place, { descriptor: named.index, maxBytes: maxIndexSize })
  const table = await fetchSmall(place, { descriptor: named.table, maxBytes: maxTableSize })
  return { root, file, ...(await layoutOfFront({ index, table, name: item }).catch(wrongFront(item))) }
}

function wrongFront(item: string) {
  return (error: unknown): never => {
    if (!isErrorCode(error, 'BUNDLE_CORRUPT', 'BUNDLE_UNREADABLE')) throw error
    throw new AirgapError('BUNDLE_CORRUPT', error.lines, {
      item,
      likely: 'it was not pushed with `airgap push --as-bundle`, or somebody changed it',
      next: 'do not use it; push the bundle again from a copy that `airgap verify` finds good',
      cause: error,
    })
  }
}

function refuseUnexpected(
  digest: Digest,
  { expect, item }: { expect: Digest | undefined; item: string },
): void {
  if (expect === undefined || expect === digest) return
  throw new AirgapError('DIGEST_MISMATCH', `the bundle has digest ${digest}, not ${expect}`, {
    item,
    likely: 'the name was moved to another bundle, or it is another version',
    next: 'compare it with the digest that `airgap build` printed; do not use the bundle until they agree',
  })
}

/** The instructions name the file of the bundle: under another name they would be wrong. */
function ownFiles(
  files: readonly BundleFile[],
  { path, pushed }: { path: string; pushed: string | undefined },
): BundleFile[] {
  return files.filter(({ suffix }) => suffix !== bundleSuffixes.instructions || basename(path) === pushed)
}

async function earlierFile(path: string, digest: Digest): Promise<'none' | 'same' | 'another'> {
  try {
    const store = await openBundle(path)
    await store.close()
    return store.indexDigest === digest ? 'same' : 'another'
  } catch (error) {
    if (isErrorCode(error, 'FILE_NOT_FOUND')) return 'none'
    if (error instanceof AirgapError) return 'another'
    throw error
  }
}

function targetExists(item: string): AirgapError {
  return new AirgapError('USAGE', 'the file exists, and is not this bundle', {
    item,
    likely: 'an earlier version was pulled to the same path, or a copy of it is damaged',
    next: 'pass another path with --out, or --replace to overwrite the file',
  })
}

/** Throws what is no damage. */
async function isIntact(path: string, { progress, signal }: PullOptions): Promise<boolean> {
  try {
    await verifyBundle(path, { progress, signal })
    return true
  } catch (error) {
    if (!(error instanceof AirgapError) || error.exitCode !== 6) throw error
    progress.note(`${path} is damaged: pulling it again`)
    return false
  }
}

async function write(
  path: string,
  {
    place,
    layout,
    options,
    keepsFiles,
  }: {
    place: RegistryPlace
    layout: Layout
    options: PullOptions
    /** the files next to `path` are of this bundle */
    keepsFiles: boolean
  },
): Promise<void> {
  const { progress, signal } = options
  const reuse = await Promise.all(options.reuse.map(file => openBundle(file)))
  const writer = await BundleWriter.open(path, layout, { progress }).catch(async error => {
    await Promise.all(reuse.map(store => store.close()))
    throw error
  })
  try {
    const pending = writer.pending()
    progress.phase('Pulling')
    progress.total(
      pending.length,
      pending.reduce((sum, slot) => sum + slot.descriptor.size - slot.received, 0),
    )
    await copyKnown(writer, { reuse, progress, signal })
    await eachAtOnce(writer.pending(), options, (slot, stop) => fillSlot(slot, { place, progress, stop }))
    await refuseMalformed(path, place.name)
    // not earlier: an interrupted pull leaves the old bundle with its signatures; not later: they must never be next to this one
    if (!keepsFiles) await removeFilesOf(path)
    await writer.seal()
  } finally {
    await writer.close()
    await Promise.all(reuse.map(store => store.close()))
  }
}

/** Copies what earlier bundles have; what they have with other bytes is fetched. */
async function copyKnown(
  writer: BundleWriter,
  { reuse, progress, signal }: { reuse: readonly BundleStore[]; progress: Progress; signal: AbortSignal },
): Promise<void> {
  const copies: SlotCopy[] = []
  for (const slot of writer.pending())
    for (const store of reuse) {
      const from = (await store.exists(slot.descriptor)) ? await store.extents(slot.descriptor) : undefined
      if (from === undefined) continue
      copies.push({ slot, from })
      break
    }
  const copied = (slot: Slot) => {
    if (!slot.complete) return
    progress.advance(slot.descriptor.size)
    progress.done(slot.descriptor.digest, slot.descriptor.size)
  }
  await writer.copy(copies, { signal, copied })
}

async function fillSlot(
  slot: Slot,
  { place, progress, stop }: { place: RegistryPlace; progress: Progress; stop: AbortSignal },
): Promise<void> {
  const { digest, size } = slot.descriptor
  const ended = progress.running(digest)
  const resumed = slot.received > 0
  try {
    await fetchBlob(place, slot, stop)
  } catch (error) {
    // the first part is from an earlier run: only a complete transfer proves that the registry has wrong content
    if (!resumed || !isErrorCode(error, 'DIGEST_MISMATCH')) throw error
    progress.note(`${digest}: the part from an earlier run does not match; starting over`)
    await fetchBlob(place, slot, stop)
  } finally {
    ended()
  }
  progress.done(digest, size)
}

/** Every blob is the one that the index names; that the whole is a bundle is checked before it gets its name. */
async function refuseMalformed(path: string, item: string): Promise<void> {
  const source = await openFileSource(`${path}.partial`)
  try {
    await verifyStructure(source).catch(wrongFront(item))
  } finally {
    await source.close()
  }
}

/** Removes the files next to another bundle of this path. */
async function removeFilesOf(path: string): Promise<void> {
  const base = basename(path)
  for (const name of await namesIn(dirname(path))) {
    const suffix = name.startsWith(base) ? name.slice(base.length) : ''
    if (isBundleSuffix(suffix)) await rm(join(dirname(path), name), { force: true })
  }
}
