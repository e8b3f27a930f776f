import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, digestFromHex } from '../../core/digest.ts'
import { AirgapError, fromSystemError } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { redactUrl } from '../../core/redact.ts'
import type { OpenedBody } from '../../remote/contract.ts'
import type { ResolveContext } from '../kind.ts'

/**
 * Fetches a URL of unknown size and digest into the cache and says what it was. A body that ends before its
 * Content-Length is an error; one without a Content-Length is taken as it comes.
 */
export async function fetchOnce(
  url: string,
  context: ResolveContext,
): Promise<{ digest: Digest; size: number }> {
  const temporary = join(context.cache.folder, `fetch-${randomBytes(6).toString('hex')}.tmp`)
  try {
    const opened = await openFirst(url, context)
    const found = await writeHashed(opened, { path: temporary, signal: context.signal })
    if (opened.size !== undefined && opened.size !== found.size) {
      throw new AirgapError('NETWORK', `the download ended after ${found.size} of ${opened.size} bytes`, {
        item: redactUrl(url),
        next: 'run the same command again',
      })
    }
    await context.cache.push({ mediaType: mediaTypes.octets, ...found }, createReadStream(temporary))
    return found
  } catch (error) {
    throw fromSystemError(error, temporary)
  } finally {
    await rm(temporary, { force: true })
  }
}

async function openFirst(url: string, context: ResolveContext): Promise<OpenedBody> {
  let failure: unknown
  for (const opener of context.http.openers(url)) {
    try {
      return await opener.open({ offset: 0 }, context.signal)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

async function writeHashed(
  opened: OpenedBody,
  to: { path: string; signal: AbortSignal },
): Promise<{ digest: Digest; size: number }> {
  const handle = await open(to.path, 'wx')
  try {
    const hash = createHash('sha256')
    let size = 0
    for await (const chunk of opened.body as AsyncIterable<Uint8Array>) {
      to.signal.throwIfAborted()
      hash.update(chunk)
      size += chunk.length
      await handle.writeFile(chunk)
    }
    return { digest: digestFromHex(hash.digest('hex')), size }
  } finally {
    await handle.close()
  }
}
