import { ByteQueue } from './byte-queue.ts'
import {
  blockSize,
  hasSparseExtension,
  mergeExtensions,
  parsePax,
  parseTarHeader,
  type TarHeader,
} from './tar-header.ts'
import { Unreadable } from './unreadable.ts'

/** Bounds of one layer: more than any real one, and an end for one made to keep this program busy (CWE-409). */
export interface TarLimits {
  /** bytes after decompression */
  bytes: number
  entries: number
}

/** A larger extended header is refused, as by Go's archive/tar (`maxSpecialFileSize`). */
const maxExtension = 1 << 20 /* bytes */

/** An entry, and its content: what the reader leaves is skipped. */
export interface TarEntry extends TarHeader {
  content(): AsyncGenerator<Buffer>
}

/** Yields the entries of a tar, without unpacking any of it. Throws Unreadable where Go's archive/tar fails. */
export async function* tarEntries(
  chunks: AsyncIterable<Uint8Array>,
  limits: TarLimits,
): AsyncGenerator<TarEntry> {
  const queue = new ByteQueue(bounded(chunks, limits.bytes))
  let pax: ReadonlyMap<string, string> = new Map()
  let longName = ''
  let longLink = ''
  for (let count = 0; ; ) {
    const block = await queue.read(blockSize)
    if (block.length === 0) return
    if (block.length < blockSize) throw new Unreadable('the tar ends in the middle of a header')
    const raw = parseTarHeader(block)
    if (raw === undefined) {
      await expectEnd(queue)
      return
    }
    if (++count > limits.entries) throw new Unreadable(`the tar has more than ${limits.entries} entries`)
    if ('xgLK'.includes(raw.type)) {
      const bytes = await extension(queue, raw)
      // a global header (`g`) applies to nothing: Go hands it out as an entry, which runtimes ignore
      if (raw.type === 'x') pax = parsePax(bytes)
      if (raw.type === 'L') longName = cString(bytes)
      if (raw.type === 'K') longLink = cString(bytes)
      continue
    }
    const header = mergeExtensions(raw, { pax, longName, longLink })
    if (raw.type === 'S') await skipSparseMap(queue, block)
    pax = new Map()
    longName = longLink = ''
    let left = header.size
    yield {
      ...header,
      async *content() {
        for await (const piece of queue.pieces(left)) {
          left -= piece.length
          yield piece
        }
      },
    }
    const padded = left + ((blockSize - (header.size % blockSize)) % blockSize)
    if ((await queue.skip(padded)) < left) throw new Unreadable('the tar ends in the middle of a file')
  }
}

async function* bounded(chunks: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Uint8Array> {
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > limit) throw new Unreadable(`the layer unpacks to more than ${limit} bytes`)
    yield chunk
  }
}

/** One block of zeros alone, in the middle, is an error to Go; other readers would go on. */
async function expectEnd(queue: ByteQueue): Promise<void> {
  const second = await queue.read(blockSize)
  if (second.length === 0) return
  if (second.length < blockSize || second.some(byte => byte !== 0))
    throw new Unreadable('the tar has a block of zeros in the middle')
}

async function extension(queue: ByteQueue, { size }: TarHeader): Promise<Buffer> {
  if (size > maxExtension) throw new Unreadable('the tar has an extended header of more than 1 MiB')
  const bytes = Buffer.from(await queue.read(size))
  if (bytes.length < size) throw new Unreadable('the tar ends in the middle of a header')
  await queue.skip((blockSize - (size % blockSize)) % blockSize)
  return bytes
}

function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
}

async function skipSparseMap(queue: ByteQueue, header: Buffer): Promise<void> {
  let more = hasSparseExtension(header, { isHeader: true })
  while (more) {
    const block = await queue.read(blockSize)
    if (block.length < blockSize) throw new Unreadable('the tar ends in the middle of a header')
    more = hasSparseExtension(block, { isHeader: false })
  }
}
