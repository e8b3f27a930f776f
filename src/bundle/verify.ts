import { treesOf } from '../content/shards.ts'
import { readTree } from '../content/tree.ts'
import { type Digest, Hasher } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { type Progress, silentProgress } from '../core/progress.ts'
import { artifactsOf } from './artifacts.ts'
import { type ByteSource, openFileSource } from './byte-source.ts'
import { type BundleEntry, endOf, headerOf, trailerSize } from './entry.ts'
import { checkOrder } from './entry-order.ts'
import { type Front, readFront } from './front.ts'
import { walkGraph } from './graph.ts'
import { BundleStore } from './reader.ts'
import { SequentialReader } from './sequential-reader.ts'
import { blockSize, paddingOf } from './tar-header.ts'

export interface VerifyReport {
  path: string
  name: string
  version: string
  indexDigest: Digest
  /** bytes read and hashed: the whole file */
  size: number
  artifacts: number
  blobs: number
  /** images of other platforms and foreign layers that indexes and manifests name and the bundle leaves out */
  notCarried: number
}

export interface VerifyOptions {
  /** digest of index.json, brought by another way than the medium */
  expect?: Digest
  progress?: Progress
  signal?: AbortSignal
}

/**
 * Reads the whole bundle once, in order, and accounts for every byte: each header is the one the layout demands, each blob
 * has the digest it is named by, each gap is zero, everything named is there and everything there is named.
 * All damage is collected into one BUNDLE_CORRUPT. Another bundle than the expected one is DIGEST_MISMATCH.
 */
export async function verifyBundle(
  from: string | ByteSource,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const source = typeof from === 'string' ? await openFileSource(from) : from
  try {
    const front = await readFront(source)
    checkExpected(front, source, options.expect)
    const damage = new DamageList(source.name)
    for (const entry of checkOrder(front.entries))
      damage.add(entry.path, 'not at its place in the order of entries')
    await readThrough(source, { front, damage, options })
    const store = new BundleStore(source, front)
    const { reached, notCarried, faults } = await walkGraph(store, front.roots)
    for (const { item, what } of faults) damage.add(item, what)
    for (const { item, what } of await treeFaults(store)) damage.add(item, what)
    const blobs = front.entries.filter(entry => entry.type === 'file' && entry.digest !== undefined)
    for (const { path, digest } of blobs) {
      if (!reached.has(digest!)) damage.add(path, 'nothing in the bundle names this content')
    }
    damage.throwIfAny()
    const { info, indexDigest, roots } = front
    const counts = { artifacts: artifactsOf(roots).length, blobs: blobs.length, notCarried }
    return {
      path: source.name,
      name: info.name,
      version: info.version,
      indexDigest,
      size: source.size,
      ...counts,
    }
  } finally {
    await source.close()
  }
}

function checkExpected(front: Front, source: ByteSource, expect: Digest | undefined): void {
  if (expect === undefined || expect === front.indexDigest) return
  throw new AirgapError('DIGEST_MISMATCH', `the bundle has digest ${front.indexDigest}, not ${expect}`, {
    item: source.name,
    likely: 'it is another bundle or version, or somebody changed it',
    next: 'compare the digest that `airgap build` printed; do not use this bundle until they agree',
  })
}

/** The front was checked while it was read; everything after it is read here. */
async function readThrough(
  source: ByteSource,
  work: { front: Front; damage: DamageList; options: VerifyOptions },
): Promise<void> {
  const progress = work.options.progress ?? silentProgress
  const [, , table, ...entries] = work.front.entries
  const start = endOf(table!)
  progress.total(work.front.entries.length, source.size)
  progress.advance(start)
  const reader = new SequentialReader(source, { start, end: source.size })
  for (const entry of entries) {
    for (const what of await entryFaults(reader, entry, work.options)) work.damage.add(entry.path, what)
  }
  for (let left = trailerSize; left > 0; left -= blockSize) {
    if (!isZero(await reader.take(blockSize)))
      work.damage.add('end of the tar', 'something stands where zeros end the tar')
  }
  progress.advance(trailerSize)
}

async function entryFaults(
  reader: SequentialReader,
  entry: BundleEntry,
  options: VerifyOptions,
): Promise<string[]> {
  const faults: string[] = []
  const header = await reader.take(blockSize)
  if (!header.equals(headerOf(entry))) faults.push('the tar header is damaged')
  const hasher = new Hasher()
  for (let left = entry.size; left > 0; ) {
    options.signal?.throwIfAborted()
    const chunk = await reader.take(left)
    hasher.update(chunk)
    left -= chunk.length
    options.progress?.advance(chunk.length)
  }
  if (entry.digest === undefined) faults.push('an entry that no content accounts for')
  else if (entry.type === 'file' && hasher.digest() !== entry.digest)
    faults.push('the content does not have the digest it is named by')
  const padding = paddingOf(entry.size)
  if (padding > 0 && !isZero(await reader.take(padding))) faults.push('something stands in the gap after it')
  options.progress?.advance(blockSize + padding)
  return faults
}

/** Finds trees that no command could read: shards that do not fit together, invalid paths. */
async function treeFaults(store: BundleStore): Promise<{ item: string; what: string }[]> {
  const faults: { item: string; what: string }[] = []
  const collect = (error: unknown, tree: string) => {
    // a manifest that is missing, damaged or too large is among the faults of `walkGraph`
    if (isErrorCode(error, 'NOT_FOUND', 'DIGEST_MISMATCH', 'SIZE_MISMATCH')) return
    if (!isErrorCode(error, 'BUNDLE_CORRUPT')) throw error
    faults.push({ item: error.item ?? tree, what: error.message })
  }
  try {
    for (const { name, roots } of treesOf(store.roots()))
      await readTree(store, roots).catch(error => collect(error, name))
  } catch (error) {
    collect(error, 'index.json')
  }
  return faults
}

const zeros = Buffer.alloc(blockSize)

function isZero(bytes: Buffer): boolean {
  return bytes.equals(zeros.subarray(0, bytes.length))
}

/** Keeps the first findings and counts them all: a bundle of noise must not fill the memory. */
class DamageList {
  readonly #name: string
  readonly #kept: string[] = []
  #count = 0

  constructor(name: string) {
    this.#name = name
  }

  add(item: string, what: string): void {
    this.#count++
    if (this.#kept.length < 100) this.#kept.push(`${item}: ${what}`)
  }

  throwIfAny(): void {
    if (this.#count === 0) return
    const shown = this.#kept.slice(0, 5).join('; ')
    const more = this.#count > 5 ? `; and ${this.#count - 5} more` : ''
    throw new AirgapError(
      'BUNDLE_CORRUPT',
      `${this.#count} ${this.#count === 1 ? 'fault' : 'faults'} found: ${shown}${more}`,
      {
        item: this.#name,
        likely: 'the file was damaged while it was copied, or changed by another program',
        next: 'copy the bundle again and verify the copy; if it fails again, build it again',
        cause: this.#kept,
      },
    )
  }
}
