import type { HashPool } from '../content/hash-pool.ts'
import { treesOf } from '../content/shards.ts'
import { readTree } from '../content/tree.ts'
import { refuseUnmarkedShards } from '../content/unmarked-shards.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { type Progress, silentProgress } from '../core/progress.ts'
import { artifactsOf } from './artifacts.ts'
import { type ByteSource, openFileSource, refuseChanged } from './byte-source.ts'
import { byteFaults } from './check-bytes.ts'
import { type BundleEntry, endOf } from './entry.ts'
import { misplacedEntries } from './entry-order.ts'
import { type GraphFindings, walkGraph } from './graph.ts'
import { type Front, readFront } from './read-front.ts'
import { BundleStore } from './reader.ts'

export interface VerifyReport {
  path: string
  name: string
  version: string
  indexDigest: Digest
  /** bytes read and hashed: the whole file */
  size: number
  artifacts: number
  blobs: number
  /** images of other platforms and foreign layers that indexes and manifests refer to and the bundle omits */
  notCarried: number
}

export interface VerifyOptions {
  /** digest of index.json, received separately from the medium */
  expect?: Digest
  progress?: Progress
  signal?: AbortSignal
  /** threads that hash; default: its own, which it ends */
  pool?: HashPool
}

/**
 * Reads the whole bundle once, in order, and checks every byte: each header is the one of the layout, each blob has its digest, each gap
 * is zero, everything referred to is present, and everything present is referred to. Throws DIGEST_MISMATCH for another bundle than the
 * expected one, and BUNDLE_CORRUPT: one with all damage, or where the file was replaced or written to since it was opened. A source that the
 * caller opened stays open.
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
    const store = new BundleStore(source, front)
    checkOrder(front, damage)
    await checkBytes(source, { front, damage, options })
    const notCarried = await checkContents(store, { front, damage, item: source.name })
    damage.throwIfAny()
    // a byte that was good when it was read may have been changed since
    await refuseChanged(source)
    const { info, indexDigest, roots } = front
    return {
      path: source.name,
      name: info.name,
      version: info.version,
      indexDigest,
      size: source.size,
      artifacts: artifactsOf(roots).length,
      blobs: blobsOf(front).length,
      notCarried,
    }
  } finally {
    if (typeof from === 'string') await source.close()
  }
}

/**
 * Checks everything but the bytes: order, references, trees. For a writer that has verified each blob, and for content that is verified
 * while it is sent. Throws BUNDLE_CORRUPT. The source stays open.
 */
export async function verifyStructure(source: ByteSource): Promise<void> {
  const front = await readFront(source)
  const damage = new DamageList(source.name)
  checkOrder(front, damage)
  await checkContents(new BundleStore(source, front), { front, damage, item: source.name })
  damage.throwIfAny()
}

/** Everything referred to is present, everything present is referred to, every tree can be read. Returns the number of manifests not carried. */
async function checkContents(
  store: BundleStore,
  { front, damage, item }: { front: Front; damage: DamageList; item: string },
): Promise<number> {
  const { reached, notCarried } = await checkReferences(store, damage)
  checkNothingElse(front, { reached, damage })
  await checkTrees(store, { damage, item })
  return notCarried
}

function checkExpected(front: Front, source: ByteSource, expect: Digest | undefined): void {
  if (expect === undefined || expect === front.indexDigest) return
  throw new AirgapError('DIGEST_MISMATCH', `the bundle has digest ${front.indexDigest}, not ${expect}`, {
    item: source.name,
    likely: 'it is another bundle or version, or it was changed',
    next: 'compare it with the digest that `airgap build` printed; do not use the bundle until they agree',
  })
}

/** A bundle with another order would be another bundle of the same lock. */
function checkOrder({ entries }: Front, damage: DamageList): void {
  for (const { path } of misplacedEntries(entries)) damage.add(path, 'the entry is out of order')
}

/** Everything that the roots refer to is present and readable. */
async function checkReferences(
  store: BundleStore,
  damage: DamageList,
): Promise<Omit<GraphFindings, 'faults'>> {
  const { faults, ...found } = await walkGraph(store, store.roots())
  for (const { item, what } of faults) damage.add(item, what)
  return found
}

/** Content that nothing refers to could be anything: it is covered by no signature of index.json. */
function checkNothingElse(
  front: Front,
  { reached, damage }: { reached: GraphFindings['reached']; damage: DamageList },
): void {
  for (const { path, digest } of blobsOf(front))
    if (!reached.has(digest!)) damage.add(path, 'nothing in the bundle refers to this content')
}

function blobsOf({ entries }: Front): BundleEntry[] {
  return entries.filter(entry => entry.type === 'file' && entry.digest !== undefined)
}

/** Headers, contents and gaps after the front, which was checked when it was read. */
async function checkBytes(
  source: ByteSource,
  { front, damage, options }: { front: Front; damage: DamageList; options: VerifyOptions },
): Promise<void> {
  const { progress = silentProgress, pool, signal } = options
  const [, , table, ...entries] = front.entries
  progress.phase('Verifying')
  progress.total(front.entries.length, source.size)
  progress.advance(endOf(table!))
  const faults = await byteFaults(source, { entries, pool, progress, signal })
  for (const { item, what } of faults) damage.add(item, what)
}

/** Every tree can be read: its shards fit together, its paths are valid. */
async function checkTrees(
  store: BundleStore,
  { damage, item }: { damage: DamageList; item: string },
): Promise<void> {
  const collect = (error: unknown, tree: string) => {
    // a missing, damaged or too large manifest is among the faults of `walkGraph`
    if (isErrorCode(error, 'NOT_FOUND', 'DIGEST_MISMATCH', 'SIZE_MISMATCH')) return
    if (!isErrorCode(error, 'BUNDLE_CORRUPT')) throw error
    damage.add(error.item ?? tree, error.message)
  }
  try {
    await refuseUnmarkedShards(store, item)
    for (const { name, roots } of treesOf(store.roots()))
      await readTree(store, roots).catch(error => collect(error, name))
  } catch (error) {
    collect(error, 'index.json')
  }
}

/** Keeps the first faults and counts all of them: a bundle of noise must not exhaust memory. */
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
        next: 'copy the bundle again and verify the copy; if that fails, too, rebuild it',
        cause: this.#kept,
      },
    )
  }
}
