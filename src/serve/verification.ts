import type { ReadableStore } from '../content/store.ts'
import { Verifier } from '../content/verify.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { PieceDigests } from './piece-digests.ts'
import { largestPiece } from './pieces.ts'
import { turns } from './turns.ts'

/**
 * What is known of the content: the digests of its pieces, or that it is damaged. Each verdict is valid for one state of the file; a blob is
 * read once for all clients that wait for it, and no longer than one of them does.
 */
export interface Verification {
  /** Throws the error that a read of this content has found lately; the state of the file is the same. */
  refuseDamaged(descriptor: Descriptor): Promise<void>
  /** Remembers what a whole read has found: `state` is the one before it began. */
  noteDamage(descriptor: Descriptor, found: { error: unknown; state: string }): void
  /** Returns the digests of the pieces of content that is right as a whole. Throws what the store throws, and the reason of `signal`. */
  piecesOf(descriptor: Descriptor, signal: AbortSignal): Promise<PieceDigests>
  /** Returns the state of the file that the content is in; empty if it has none. */
  stateOf(descriptor: Descriptor): Promise<string>
}

/** A repaired file has another state; damage on the way from the disk may be gone at the next try. */
const damageRemembered = 30_000 /* milliseconds */
const maxRemembered = 20_000 /* blobs */
const maxDigests = 64 << 20 /* bytes, of all remembered pieces */
/** A client could otherwise make a server read all its blobs at once, with a request of 100 bytes for each (CWE-405). */
const maxReads = 2

interface Verdict {
  state: string
  found: PieceDigests | AirgapError
  /** of an error: when it is forgotten */
  until: number
}

interface Job {
  waiting: number
  stop: AbortController
  result: Promise<PieceDigests>
}

export function verification(
  store: ReadableStore,
  { read }: { read: (descriptor: Descriptor, piece: ByteRange) => Promise<Uint8Array> },
): Verification {
  const verdicts = new Map<string, Verdict>()
  const jobs = new Map<string, Job>()
  const reads = turns(maxReads)
  let digestBytes = 0

  const stateOf = async (descriptor: Descriptor) => (await store.state?.(descriptor)) ?? ''

  function forget(key: string): void {
    const found = verdicts.get(key)?.found
    if (found instanceof PieceDigests) digestBytes -= found.bytes
    verdicts.delete(key)
  }

  function remember(key: string, { state, found }: Pick<Verdict, 'state' | 'found'>): void {
    forget(key)
    verdicts.set(key, { state, found, until: performance.now() + damageRemembered })
    if (found instanceof PieceDigests) digestBytes += found.bytes
    for (const oldest of verdicts.keys()) {
      if (verdicts.size <= maxRemembered && digestBytes <= maxDigests) break
      if (oldest !== key) forget(oldest)
    }
  }

  /** Returns the verdict if it is still valid, and marks it as used last. */
  async function known(descriptor: Descriptor): Promise<Verdict | undefined> {
    const key = keyOf(descriptor)
    const verdict = verdicts.get(key)
    if (verdict === undefined) return undefined
    const expired = verdict.found instanceof AirgapError && performance.now() > verdict.until
    if (expired || verdict.state !== (await stateOf(descriptor))) {
      if (verdicts.get(key) === verdict) forget(key)
      return undefined
    }
    if (verdicts.get(key) === verdict) {
      verdicts.delete(key)
      verdicts.set(key, verdict)
    }
    return verdict
  }

  function noteDamage(descriptor: Descriptor, { error, state }: { error: unknown; state: string }): void {
    // an unplugged medium is not damage: it may be back at once
    if (error instanceof AirgapError && error.exitCode === 6)
      remember(keyOf(descriptor), { state, found: error })
  }

  async function readThrough(descriptor: Descriptor, stop: AbortSignal): Promise<PieceDigests> {
    const state = await stateOf(descriptor)
    const { size } = descriptor
    try {
      const digests = new PieceDigests(descriptor)
      const whole = new Verifier(descriptor)
      const step = Math.max(largestPiece, digests.unit)
      for (let position = 0; position < size; position += step) {
        // blobs that are nearly read come first: a small one does not wait for all of a large one
        await reads.take(size - position, stop)
        try {
          const bytes = await read(descriptor, { start: position, end: Math.min(position + step, size) })
          whole.update(bytes)
          digests.record(bytes, position)
        } finally {
          reads.giveBack()
        }
      }
      whole.finish()
      remember(keyOf(descriptor), { state, found: digests })
      return digests
    } catch (error) {
      noteDamage(descriptor, { error, state })
      throw error
    }
  }

  function start(descriptor: Descriptor): Job {
    const stop = new AbortController()
    const result = readThrough(descriptor, stop.signal)
    // thrown to those who wait; after the last one has left, nobody is there to catch it
    result.catch(() => {})
    return { waiting: 0, stop, result }
  }

  return {
    stateOf,
    noteDamage,
    async refuseDamaged(descriptor) {
      if (!verdicts.has(keyOf(descriptor))) return
      const verdict = await known(descriptor)
      if (verdict?.found instanceof AirgapError) throw verdict.found
    },
    async piecesOf(descriptor, signal) {
      const found = (await known(descriptor))?.found
      if (found instanceof AirgapError) throw found
      if (found !== undefined) return found
      signal.throwIfAborted()
      const key = keyOf(descriptor)
      const job = jobs.get(key) ?? start(descriptor)
      jobs.set(key, job)
      job.waiting++
      try {
        return await settledOrAborted(job.result, signal)
      } finally {
        job.waiting--
        if (job.waiting === 0) {
          job.stop.abort(new Error('nobody waits for this content any more'))
          if (jobs.get(key) === job) jobs.delete(key)
        }
      }
    },
  }
}

/** A descriptor with another size is another claim. */
function keyOf({ digest, size }: Descriptor): string {
  return `${digest} ${size}`
}

async function settledOrAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
