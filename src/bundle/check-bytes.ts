import pLimit from 'p-limit'
import { type HashPool, hashPool } from '../content/hash-pool.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'
import type { ByteSource } from './byte-source.ts'
import { type BundleEntry, endOf, headerOf, trailerSize } from './entry.ts'
import { blockSize } from './tar-header.ts'

export interface ByteFault {
  /** path of an entry, or which other part of the tar */
  item: string
  what: string
}

/** Bytes of the bundle that belong together, with the digest that they must have. */
interface CheckedRange extends ByteFault {
  start: number
  end: number
  /** undefined: no bytes are right here */
  digest: Digest | undefined
}

/** One request to a thread: small entries together, so that messages cost little; large ones alone, so that every thread has work. */
const requestSize = 4 << 20 /* bytes */
/** Entries without content must not end up in one request, either. */
const requestEntries = 1000

/** Starting a thread takes longer than hashing this much. */
const smallBundle = 8 << 20 /* bytes */

/**
 * Reads everything after the front once, in order, on every core: headers, contents, gaps and the end of the tar. Returns all faults, in
 * the order of the tar. Throws what reading throws, and the reason of `signal`, both once nothing reads the source any more.
 */
export async function byteFaults(
  source: ByteSource,
  options: {
    /** the entries after the front */
    entries: readonly BundleEntry[]
    /** default: one of its own */
    pool?: HashPool | undefined
    progress: Progress
    signal?: AbortSignal | undefined
  },
): Promise<ByteFault[]> {
  const pool = options.pool ?? hashPool()
  const failed = new AbortController()
  const signal = options.signal ? AbortSignal.any([failed.signal, options.signal]) : failed.signal
  const work = { pool, signal, progress: options.progress }
  const digests = source.extents === undefined || source.size < smallBundle ? digestsHere : digestsOf
  // the threads always have a next request, and no more than these are in memory
  const limit = pLimit(2 * pool.size)
  const check = async (entries: readonly BundleEntry[]) => {
    try {
      const ranges = entries.flatMap(rangesOf)
      const found = await digests(source, ranges, work)
      return ranges.filter(({ digest }, i) => digest === undefined || digest !== found[i])
    } catch (error) {
      failed.abort(error)
      throw error
    }
  }
  try {
    const results = await Promise.allSettled(
      [...requests(options.entries)].map(entries => limit(check, entries)),
    )
    signal.throwIfAborted()
    const wrong = results.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
    return [...wrong, ...(await trailerFaults(source, work.progress))].map(({ item, what }) => ({
      item,
      what,
    }))
  } finally {
    if (options.pool === undefined) await pool.close()
  }
}

/** Yields the entries in groups that are adjacent in the tar. */
function* requests(entries: readonly BundleEntry[]): Generator<BundleEntry[]> {
  let group: BundleEntry[] = []
  let bytes = 0
  for (const entry of entries) {
    group.push(entry)
    bytes += endOf(entry) - entry.headerOffset
    if (bytes < requestSize && group.length < requestEntries) continue
    yield group
    group = []
    bytes = 0
  }
  yield group
}

/** Header, content and gap. */
function rangesOf(entry: BundleEntry): CheckedRange[] {
  const { path: item, headerOffset, dataOffset, size, type, digest } = entry
  const dataEnd = dataOffset + size
  const header = { start: headerOffset, end: dataOffset, digest: digestOf(headerOf(entry)) }
  const content = { start: dataOffset, end: dataEnd, digest }
  const gap = { start: dataEnd, end: endOf(entry), digest: digestOfZeros(endOf(entry) - dataEnd) }
  const ranges: CheckedRange[] = [{ ...header, item, what: 'the tar header is damaged' }]
  if (digest === undefined) ranges.push({ ...content, item, what: 'the entry is not content of the bundle' })
  else if (type === 'file') ranges.push({ ...content, item, what: 'the content does not have its digest' })
  if (gap.end > gap.start) ranges.push({ ...gap, item, what: 'the gap after it is not zero' })
  return ranges
}

async function trailerFaults(source: ByteSource, progress: Progress): Promise<ByteFault[]> {
  const trailer = Buffer.alloc(trailerSize)
  await source.read(trailer, source.size - trailerSize)
  progress.advance(trailerSize)
  if (trailer.every(byte => byte === 0)) return []
  return [{ item: 'end of the tar', what: 'the tar does not end with zeros' }]
}

interface Work {
  pool: HashPool
  progress: Progress
  signal: AbortSignal
}

/** Has threads read and hash the ranges. */
async function digestsOf(
  source: ByteSource,
  ranges: readonly CheckedRange[],
  { pool, progress, signal }: Work,
): Promise<Digest[]> {
  const pieces = ranges.map(({ start, end }) => ({ from: source.extents!(start, end) }))
  const advance = (bytes: number) => progress.advance(bytes)
  const results = await pool.hashEach(pieces, { signal, advance, item: source.name })
  return results.map(result => {
    if (result instanceof AirgapError) throw result
    return result
  })
}

/** Does the same on the main thread. */
async function digestsHere(
  source: ByteSource,
  ranges: readonly CheckedRange[],
  { progress, signal }: Work,
): Promise<Digest[]> {
  const digests: Digest[] = []
  for (const { start, end } of ranges) {
    signal.throwIfAborted()
    const bytes = Buffer.allocUnsafe(end - start)
    await source.read(bytes, start)
    digests.push(digestOf(bytes))
    progress.advance(bytes.length)
  }
  return digests
}

const zeros = Buffer.alloc(blockSize)

function digestOfZeros(length: number): Digest {
  return digestOf(zeros.subarray(0, length))
}
