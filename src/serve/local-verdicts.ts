import { availableParallelism } from 'node:os'
import { type HashPool, hashPool } from '../content/hash-pool.ts'
import type { ReadableStore } from '../content/store.ts'
import { refuseOther, Verifier } from '../content/verify.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { type AirgapError, isErrorCode } from '../core/errors.ts'
import { fileOfState, isSettled } from '../core/file-state.ts'
import { type ContentFile, contentFile } from './content-file.ts'
import { settledOrAborted } from './settled-or-aborted.ts'
import { turns } from './turns.ts'
import { type Verdicts, writtenTo } from './verdicts.ts'

/** Verdicts of this process: threads read and hash the content of the store, each blob once for each state of its file. */
export interface LocalVerdicts extends Verdicts {
  /** Reads the content once more, whatever is known, on a thread that is kept for this. Throws as `verified` does. */
  verifyAgain(content: Descriptor, signal: AbortSignal): Promise<void>
  /** Returns whether the content was found to be right in this state; the same as `known`, and nothing else happens. */
  isRight(content: Descriptor, state: string): boolean
  /** Returns what is known of the content in this state, and does nothing else. */
  finding(content: Descriptor, state: string): 'verified' | 'damaged' | 'unread'
  /** Takes over what was found in this state before. */
  takeOver(state: string, digests: Iterable<Digest>): void
  /** Ends the threads, and fails all who wait. */
  close(): Promise<void>
}

export interface LocalVerdictsOptions {
  /** called once for each verdict */
  note?: (content: Descriptor, found: { state: string; damage?: AirgapError }) => void
  /** default: the clock of this machine, ms since 1970 */
  now?: () => number
  /** of several stores together, closed by its owner; default: one of `hashThreads` */
  pool?: HashPool
}

/** A repaired file has another state; damage on the way from the disk may be gone later. */
const damageRemembered = 30_000 /* milliseconds */
/** A state that this process has seen for so long is settled, whatever the clock of the file system says. */
const seenLongEnough = 2_100 /* milliseconds */
/**
 * Reads at once for clients: they could otherwise make a server read all its blobs at the same time, with a request of 100 bytes for each
 * (CWE-405). More than four threads read faster than disks do.
 */
const largeReads = Math.min(4, Math.max(2, availableParallelism()))
/** One thread more, for small blobs alone: they don't wait until large ones are read. */
const smallBlob = 16 << 20 /* bytes */
/** One thread more, for what nobody waits for. */
export const hashThreads = largeReads + 2

/** Content of a store that has no open files is read here, in pieces of this size. */
const pieceSize = 1 << 20 /* bytes */

/** All verdicts of one file; those of another state are dropped. */
interface FileVerdicts {
  state: string
  /** when this process saw the state first, monotonic milliseconds */
  since: number
  right: Set<Digest>
  damaged: Map<Digest, { error: AirgapError; until: number }>
}

interface Job {
  waiting: number
  stop: AbortController
  /** the state in which the content is right; undefined: its file was written to while it was read */
  result: Promise<string | undefined>
}

export function localVerdicts(
  store: ReadableStore,
  { note = () => {}, now = Date.now, ...given }: LocalVerdictsOptions = {},
): LocalVerdicts {
  const files = new Map<string, FileVerdicts>()
  const jobs = new Map<string, Job>()
  const large = turns(largeReads)
  const small = turns(1)
  const stopped = new AbortController()
  let pool = given.pool

  function known(state: string): FileVerdicts | undefined {
    const found = files.get(fileOfState(state))
    return found?.state === state ? found : undefined
  }

  function seen(state: string): FileVerdicts {
    const found = known(state)
    if (found !== undefined) return found
    const fresh = { state, since: performance.now(), right: new Set<Digest>(), damaged: new Map() }
    files.set(fileOfState(state), fresh)
    return fresh
  }

  const isRight = ({ digest }: Descriptor, state: string) => known(state)?.right.has(digest) ?? false

  /** Throws damage; where it was found a while ago, it is looked for again, so that the next client may get the content. */
  function isKnown(content: Descriptor, state: string): boolean {
    const damage = known(state)?.damaged.get(content.digest)
    if (damage === undefined) return isRight(content, state)
    if (performance.now() >= damage.until) {
      damage.until = performance.now() + damageRemembered
      read(content, { signal: stopped.signal, how: 'in turn' }).catch(() => {})
    }
    throw damage.error
  }

  function noteDamage(content: Descriptor, { state, error }: { state: string; error: unknown }): void {
    if (!isErrorCode(error, 'DIGEST_MISMATCH', 'SIZE_MISMATCH', 'BUNDLE_CORRUPT')) return
    const { right, damaged } = seen(state)
    right.delete(content.digest)
    damaged.set(content.digest, { error, until: performance.now() + damageRemembered })
    note(content, { state, damage: error })
  }

  /** A verdict about a state that a write may leave as it is holds for those who wait now, and for nobody later. */
  function noteRight(content: Descriptor, state: string): void {
    const file = seen(state)
    file.damaged.delete(content.digest)
    if (!isSettled(state, now()) && performance.now() - file.since < seenLongEnough) return
    file.right.add(content.digest)
    note(content, { state })
  }

  async function hash(
    content: Descriptor,
    { file, stop }: { file: ContentFile; stop: AbortSignal },
  ): Promise<void> {
    if (file.extents !== undefined) {
      pool ??= hashPool({ size: hashThreads })
      const digest = await pool.hash(file.extents, { signal: stop, item: content.digest })
      return refuseOther(content, { digest })
    }
    const verifier = new Verifier(content)
    for (let position = 0; position < content.size; position += pieceSize) {
      stop.throwIfAborted()
      const bytes = Buffer.allocUnsafe(Math.min(pieceSize, content.size - position))
      await file.read(bytes, position)
      verifier.update(bytes)
    }
    verifier.finish()
  }

  async function readThrough(content: Descriptor, stop: AbortSignal): Promise<string | undefined> {
    const file = await contentFile(store, content)
    const state = await file.state()
    seen(state)
    try {
      await hash(content, { file, stop })
    } catch (error) {
      stop.throwIfAborted()
      if ((await file.state()) !== state) return undefined
      noteDamage(content, { state, error })
      throw error
    }
    if ((await file.state()) !== state) return undefined
    noteRight(content, state)
    return state
  }

  async function inTurn<T>({ size }: Descriptor, stop: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { take, giveBack } = size <= smallBlob ? small : large
    await take(size, stop)
    try {
      return await work()
    } finally {
      giveBack()
    }
  }

  function start(content: Descriptor, how: 'in turn' | 'at once'): Job {
    const stop = new AbortController()
    const work = () => readThrough(content, stop.signal)
    const result = how === 'at once' ? work() : inTurn(content, stop.signal, work)
    const job = { waiting: 0, stop, result }
    const key = keyOf(content)
    jobs.set(key, job)
    const forget = () => {
      if (jobs.get(key) === job) jobs.delete(key)
    }
    // thrown to those who wait; after the last one has left, nobody is there to catch it
    result.then(forget, forget)
    return job
  }

  /** Waits for the read that is going on, or for a new one. */
  async function read(
    content: Descriptor,
    { signal, how }: { signal: AbortSignal; how: 'in turn' | 'at once' },
  ): Promise<string | undefined> {
    signal.throwIfAborted()
    const job = jobs.get(keyOf(content)) ?? start(content, how)
    job.waiting++
    try {
      return await settledOrAborted(job.result, signal)
    } finally {
      job.waiting--
      if (job.waiting === 0) {
        job.stop.abort(new Error('nobody waits for this content any more'))
        // a client that comes before the read has noticed must not wait for it
        if (jobs.get(keyOf(content)) === job) jobs.delete(keyOf(content))
      }
    }
  }

  return {
    known: isKnown,
    isRight,
    noteDamage,
    finding(content, state) {
      if (isRight(content, state)) return 'verified'
      return known(state)?.damaged.has(content.digest) ? 'damaged' : 'unread'
    },
    async verified(content, { state, signal }) {
      while (!isKnown(content, state)) {
        if ((await read(content, { signal, how: 'in turn' })) === state) return
        const file = await contentFile(store, content)
        if ((await file.state()) !== state) throw writtenTo(content)
      }
    },
    async verifyAgain(content, signal) {
      await read(content, { signal, how: 'at once' })
    },
    takeOver(state, digests) {
      const { right } = seen(state)
      for (const digest of digests) right.add(digest)
    },
    async close() {
      stopped.abort(new Error('the servers were stopped'))
      for (const job of jobs.values()) job.stop.abort(new Error('the servers were stopped'))
      if (given.pool === undefined) await pool?.close()
    },
  }
}

/** A descriptor with another size is another claim. */
function keyOf({ digest, size }: Descriptor): string {
  return `${digest} ${size}`
}
