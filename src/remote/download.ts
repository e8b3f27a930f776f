import type { DownloadSink } from '../content/sink.ts'
import { AirgapError } from '../core/errors.ts'
import { type Progress, silentProgress } from '../core/progress.ts'
import { type Clock, systemClock } from './clock.ts'
import type { BlobOpener, OpenedBody } from './contract.ts'
import { firstOf } from './mirrors.ts'
import { networkError } from './network-errors.ts'
import { backoffMs, defaultRetry, type RetryPolicy } from './retry.ts'
import { ShortLived } from './short-lived.ts'
import { defaultStall, type StallLimits, watchStall } from './stall.ts'

export interface DownloadOptions {
  /** sources, tried in order */
  openers: BlobOpener[]
  sink: DownloadSink
  signal?: AbortSignal | undefined
  progress?: Progress
  retry?: Partial<RetryPolicy>
  stall?: Partial<StallLimits>
  clock?: Clock
}

/** New content that resets the number of tries: an unstable connection still finishes, a source without progress does not. */
const progressThatCounts = 1 << 20 /* bytes */

/**
 * Fills the sink from the first source that works, and continues in the middle of a blob. Throws SIZE_MISMATCH or DIGEST_MISMATCH
 * at once: after wrong content no other source is tried. Otherwise throws the error of the first source once all have failed.
 */
export async function download(options: DownloadOptions): Promise<void> {
  const run: Run = {
    sink: options.sink,
    signal: options.signal,
    progress: options.progress ?? silentProgress,
    retry: { ...defaultRetry, ...options.retry },
    stall: { ...defaultStall, ...options.stall },
    clock: options.clock ?? systemClock,
    furthest: options.sink.received,
  }
  const { openers, sink } = options
  if (openers.length === 0) {
    throw new AirgapError('UNRESOLVABLE', 'the content has no source', {
      item: sink.descriptor.digest,
      next: 'run `airgap lock` again: the lock names no source for this content',
    })
  }
  const fromSource = (opener: BlobOpener) =>
    fromOne(opener, { run, validator: opener === openers[0] ? sink.validator : undefined })
  await firstOf(openers, fromSource, run)
  await sink.finish()
}

interface Run {
  sink: DownloadSink
  signal: AbortSignal | undefined
  progress: Progress
  retry: RetryPolicy
  stall: StallLimits
  clock: Clock
  /** most bytes received at any time: only more than that is progress */
  furthest: number
}

/** All tries at one source. `validator` is from that source: another mirror's would make it send everything again. */
async function fromOne(
  opener: BlobOpener,
  state: { run: Run; validator: string | undefined },
): Promise<void> {
  const { run } = state
  const { sink, retry, clock } = run
  let tries = 0
  let known = state.validator
  while (sink.received < sink.descriptor.size || (sink.descriptor.size === 0 && tries === 0)) {
    run.signal?.throwIfAborted()
    const before = run.furthest
    tries++
    try {
      const opened = await opener.open({ offset: sink.received, validator: known }, run.signal)
      if (!(await continues(opened, { run, opener, known }))) known = undefined
      else {
        known = opened.validator
        await pour(opened.body, { run, item: opener.name })
        if (sink.received >= sink.descriptor.size) return
        throw endedEarly(opener.name, sink)
      }
    } catch (error) {
      run.signal?.throwIfAborted()
      if (!(error instanceof AirgapError) || error.code !== 'NETWORK') throw error
      if (run.furthest - before >= progressThatCounts) tries = 1
      if (tries >= retry.attempts) throw error
      run.progress.note(
        `${opener.name}: ${error.message}; continuing at ${sink.received} of ${sink.descriptor.size} bytes`,
      )
      await clock.sleep(backoffMs(tries, retry, clock), run.signal)
      continue
    }
    if (tries >= retry.attempts) throw endedEarly(opener.name, sink)
  }
}

/**
 * Prepares the sink for the body; returns whether the body may be appended. If the answer starts elsewhere or is of a changed
 * representation, the sink starts over; if that answer is not the beginning either, the next try requests it.
 */
async function continues(
  opened: OpenedBody,
  at: { run: Run; opener: BlobOpener; known: string | undefined },
): Promise<boolean> {
  const { sink } = at.run
  if (opened.size !== undefined && opened.start >= 0 && opened.size !== sink.descriptor.size) {
    opened.body.destroy()
    throw new AirgapError(
      'SIZE_MISMATCH',
      `${at.opener.name} has ${opened.size} bytes, not the ${sink.descriptor.size} expected`,
      {
        item: sink.descriptor.digest,
        likely: 'the content was replaced upstream, or something on the connection answers instead of it',
        next: 'do not use it; find out what changed upstream, then run `airgap lock` again',
      },
    )
  }
  const changed = at.known !== undefined && opened.validator !== undefined && at.known !== opened.validator
  if (opened.start === 0 && (sink.received > 0 || opened.validator !== sink.validator)) {
    if (sink.received > 0)
      at.run.progress.note(`${at.opener.name} starts over: it cannot resume, or the content has changed`)
    await startOver(at.run, opened.validator)
    return true
  }
  if (opened.start === sink.received && !(changed && sink.received > 0)) return true
  opened.body.destroy()
  at.run.progress.note(`${at.opener.name} sent a part that was not requested; starting over`)
  await startOver(at.run)
  return false
}

async function startOver(run: Run, validator?: string): Promise<void> {
  if (run.sink.received > 0) run.progress.advance(-run.sink.received)
  await run.sink.restart(validator)
}

/** Copies the body to the sink chunk by chunk, so that the sink limits the source's speed. Throws errors of the sink unchanged. */
async function pour(body: OpenedBody['body'], at: { run: Run; item: string }): Promise<void> {
  const { run, item } = at
  const { sink, progress } = run
  const size = sink.descriptor.size
  const watch = watchStall(body, { ...run.stall, item })
  const shortLived = new ShortLived()
  let sinkError: unknown
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      // a released chunk has no length
      const { length } = chunk
      watch.count(length)
      if (sink.received + length > size) {
        sinkError = tooLong(item, sink)
        // the received bytes are of other content
        await startOver(run)
        throw sinkError
      }
      watch.busy(true)
      try {
        await sink.write(chunk)
      } catch (error) {
        sinkError = error
        throw error
      }
      watch.busy(false)
      progress.advance(length)
      release(chunk)
      shortLived.count(length)
    }
  } catch (error) {
    if (sinkError !== undefined) throw sinkError
    run.signal?.throwIfAborted()
    throw networkError(error, item)
  } finally {
    if (sink.received > run.furthest) run.furthest = sink.received
    watch.stop()
    body.destroy()
  }
}

/**
 * Frees a chunk's memory at once, as the sink no longer needs it: left to the garbage collector, a fast transfer holds more than
 * 100 MB of dead 64 KiB buffers. Only if the chunk is all of its buffer: otherwise other chunks share it.
 */
function release(chunk: Uint8Array): void {
  const { buffer } = chunk
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.byteLength) buffer.transfer(0)
}

function tooLong(item: string, sink: DownloadSink): AirgapError {
  return new AirgapError(
    'SIZE_MISMATCH',
    `${item} sends more than the expected ${sink.descriptor.size} bytes`,
    {
      item: sink.descriptor.digest,
      likely: 'the content was replaced upstream, or something on the connection answers instead of it',
      next: 'do not use it; find out what changed upstream, then run `airgap lock` again',
    },
  )
}

function endedEarly(item: string, sink: DownloadSink): AirgapError {
  return new AirgapError(
    'NETWORK',
    `the body ended after ${sink.received} of ${sink.descriptor.size} bytes`,
    {
      item,
      likely: 'the source or something on the connection closed it',
      next: 'run the same command again: it continues where it stopped',
    },
  )
}
