import type { Readable } from 'node:stream'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import type { ReadableStore } from './store.ts'

/** Manifests and indexes larger than this are refused (distribution-spec recommends 4 MiB). */
export const maxManifestSize = 4 * 1024 * 1024 /* bytes */

/** Reads small content whole, verified. Throws SIZE_MISMATCH over `limit` bytes. */
export async function readAll(
  store: ReadableStore,
  descriptor: Descriptor,
  limit = maxManifestSize,
): Promise<Buffer> {
  if (descriptor.size > limit) {
    throw new AirgapError('SIZE_MISMATCH', `larger than the ${limit} bytes allowed here`, {
      item: descriptor.digest,
    })
  }
  return collect(await store.open(descriptor), limit)
}

export async function collect(body: Readable, limit: number /* bytes */): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > limit) {
      body.destroy()
      throw new AirgapError('SIZE_MISMATCH', `larger than the ${limit} bytes allowed here`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}
