import { pipeline, Readable } from 'node:stream'
// not by name: an older Node.js must get as far as the message that it is too old
import zlib from 'node:zlib'
import xz from 'xz-decompress'
import { bunzip2 } from './bunzip2.ts'

/** How an index is compressed: the suffix of its name in the Release file, in our order of preference. */
export const packings = ['.xz', '.zst', '.gz', '.bz2', ''] as const
export type Packing = (typeof packings)[number]

const chunkSize = 256 << 10 /* bytes */

/**
 * Decompresses a stream, 256 KiB at a time whatever size the content claims. The total is not limited here: the reader stops at the
 * size in the signed Release file (decompression bombs, CWE-409).
 */
export function unpack(body: Readable, packing: Packing): Readable {
  switch (packing) {
    case '':
      return body
    case '.gz':
      return piped(body, zlib.createGunzip({ chunkSize }))
    case '.zst':
      return piped(body, zlib.createZstdDecompress({ chunkSize }))
    case '.bz2':
      return Readable.from(bunzip2(body))
    case '.xz':
      return Readable.from(xzChunks(body))
  }
}

/** The reader of the result gets the error of either stream, also one that occurs before the first read. */
function piped(
  body: Readable,
  unpacker: ReturnType<typeof zlib.createGunzip | typeof zlib.createZstdDecompress>,
): Readable {
  // pipeline stops listening when the input ends; an error after that would end the process
  unpacker.on('error', () => undefined)
  return pipeline(body, unpacker, () => undefined)
}

/** The decoder limits its own dictionary (64 MiB). One stream at a time uses it: a stream that is not read to its end must be cancelled. */
async function* xzChunks(body: Readable): AsyncGenerator<Uint8Array> {
  const reader = new xz.XzReadableStream(webStream(body)).getReader()
  let finished = false
  try {
    while (true) {
      const { done, value } = await reader.read()
      if (done) {
        finished = true
        return
      }
      if (value.length > 0) yield value
    }
  } finally {
    if (!finished) await reader.cancel().catch(() => undefined)
    body.destroy()
  }
}

function webStream(body: Readable): ReadableStream<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await chunks.return?.()
    },
  })
}
