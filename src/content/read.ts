import type { Readable } from 'node:stream'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import type { ReadableStore } from './store.ts'

/** Larger manifests and indexes are refused (distribution-spec, "Pushing manifests": at least 4 MiB are accepted). */
export const maxManifestSize = 4 * 1024 * 1024 /* bytes */

/** Reads small content whole and verified. Throws SIZE_MISMATCH above `limit` bytes, and what the store throws. */
export async function readAll(
  store: ReadableStore,
  descriptor: Descriptor,
  limit = maxManifestSize,
): Promise<Buffer> {
  if (descriptor.size > limit) throw tooLarge(limit, descriptor.digest)
  return collect(await store.open(descriptor), limit)
}

/** Reads a stream into memory. Throws SIZE_MISMATCH above `limit` bytes, before it holds more than that. */
export async function collect(body: Readable, limit: number /* bytes */): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > limit) {
      body.destroy()
      throw tooLarge(limit)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

function tooLarge(limit: number, item?: string): AirgapError {
  return new AirgapError(
    'SIZE_MISMATCH',
    `the content is larger than the ${limit} bytes allowed here`,
    defined({
      item,
      likely: 'the content is damaged, or made to exhaust memory',
      next: 'get it again from a source that you trust',
    }),
  )
}
