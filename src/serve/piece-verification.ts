import type { ReadableStore } from '../content/store.ts'
import { Verifier } from '../content/verify.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { contentFile } from './content-file.ts'
import { PieceDigests } from './piece-digests.ts'
import { settledOrAborted } from './settled-or-aborted.ts'
import { turns } from './turns.ts'

/** The digests of the pieces of content. A blob is read once for all clients that wait for it, and no longer than one of them does. */
export interface PieceVerification {
  /**
   * Returns the digests of the pieces of content that is right as a whole in the present state of its file; reads all of it where they are
   * not known. Throws what the store throws, damage (which is remembered for a while), and the reason of `signal`.
   */
  piecesOf(descriptor: Descriptor, signal: AbortSignal): Promise<PieceDigests>
}

/** A repaired file has another state; damage on the way from the disk may be gone at the next try. */
const damageRemembered = 30_000 /* milliseconds */
const maxRemembered = 20_000 /* blobs */
const maxDigests = 64 << 20 /* bytes, of all remembered pieces */
/** A client could otherwise make a server read all its blobs at once, with a request of 100 bytes for each (CWE-405). */
const maxReads = 2
const largestRead = 1 << 20 /* bytes */

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

export function pieceVerification(store: ReadableStore): PieceVerification {
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
      const file = await contentFile(store, descriptor)
      const step = Math.max(largestRead, digests.unit)
      for (let position = 0; position < size; position += step) {
        // blobs that are nearly read come first: a small one does not wait for all of a large one
        await reads.take(size - position, stop)
        try {
          const bytes = Buffer.allocUnsafe(Math.min(step, size - position))
          await file.read(bytes, position)
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
