import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { LayoutStore } from '../content/layout-store.ts'
import { type Digest, Hasher } from '../core/digest.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { mediaTypes } from '../core/media-types.ts'
import type { Progress } from '../core/progress.ts'
import { redactUrl } from '../core/redact.ts'
import { type Clock, systemClock } from './clock.ts'
import type { BlobOpener, HttpClient, Named } from './contract.ts'
import { firstOf } from './mirrors.ts'
import { networkError } from './network-errors.ts'
import { defaultRetry, withRetries } from './retry.ts'
import { defaultStall, watchStall } from './stall.ts'

/**
 * Fetches a URL of unknown digest into the cache and returns digest and size. A broken transfer is retried, and resumed if the server
 * confirms that the content is unchanged; a body without a Content-Length is accepted whole.
 */
export async function fetchOnce(
  url: string,
  context: { cache: LayoutStore; http: HttpClient; progress: Progress; signal: AbortSignal },
  options: { clock?: Clock } & Named = {},
): Promise<{ digest: Digest; size: number }> {
  const { cache, http, progress, signal } = context
  const temporary = join(cache.folder, `fetch-${randomBytes(6).toString('hex')}.tmp`)
  try {
    const handle = await open(temporary, 'wx')
    try {
      const found = await firstOf(
        http.openers(url, options),
        async opener => {
          const part = startPart(handle)
          await withRetries(() => receive(opener, { part, signal }), {
            retry: defaultRetry,
            clock: options.clock ?? systemClock,
            progress,
            signal,
          })
          // an earlier, longer body may have been written
          await handle.truncate(part.received)
          return { digest: part.hasher.digest(), size: part.received }
        },
        { progress, signal },
      )
      await cache.adopt(temporary, { mediaType: mediaTypes.octets, ...found })
      return found
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw fromSystemError(error, redactUrl(url))
  } finally {
    await rm(temporary, { force: true })
  }
}

/** What has been received from one source. */
interface Part {
  handle: FileHandle
  hasher: Hasher
  received: number
  validator: string | undefined
}

function startPart(handle: FileHandle): Part {
  return { handle, hasher: new Hasher(), received: 0, validator: undefined }
}

/** One try. Without a validator nothing shows that the rest belongs to the same content: then it starts over. */
async function receive(opener: BlobOpener, options: { part: Part; signal: AbortSignal }): Promise<void> {
  const { part, signal } = options
  if (part.validator === undefined) startOver(part)
  const { received: offset, validator } = part
  const opened = await opener.open({ offset, validator }, signal)
  // a 206 in answer to If-Range may omit the validator (RFC 9110 section 15.3.7)
  const same = opened.validator === undefined || opened.validator === validator
  const continues = offset > 0 && opened.start === offset && same
  if (!continues) {
    startOver(part)
    if (opened.start !== 0) {
      opened.body.destroy()
      throw new AirgapError('NETWORK', 'the source sent a part that was not requested', {
        item: opener.name,
        likely: 'the content changed during the download',
        next: 'run the same command again',
      })
    }
  }
  if (opened.validator !== undefined) part.validator = opened.validator
  const watch = watchStall(opened.body, { ...defaultStall, item: opener.name })
  try {
    for await (const chunk of opened.body as AsyncIterable<Uint8Array>) {
      watch.count(chunk.length)
      watch.busy(true)
      await write(part, chunk)
      watch.busy(false)
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof AirgapError ? error : networkError(error, opener.name)
  } finally {
    watch.stop()
    opened.body.destroy()
  }
  if (opened.size === undefined || opened.size === part.received) return
  throw new AirgapError('NETWORK', `the body ended after ${part.received} of ${opened.size} bytes`, {
    item: opener.name,
    likely: 'the source or something on the connection closed it',
    next: 'run the same command again',
  })
}

function startOver(part: Part): void {
  part.hasher = new Hasher()
  part.received = 0
  part.validator = undefined
}

/** Converts errors of the disk here, so that they are not taken for network errors and retried. */
async function write(part: Part, chunk: Uint8Array): Promise<void> {
  part.hasher.update(chunk)
  try {
    for (let written = 0; written < chunk.length; ) {
      const { bytesWritten } = await part.handle.write(chunk, written, chunk.length - written, part.received)
      written += bytesWritten
      part.received += bytesWritten
    }
  } catch (error) {
    throw fromSystemError(error, 'the cache')
  }
}
