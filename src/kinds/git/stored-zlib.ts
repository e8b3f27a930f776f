/** Longest stored block (RFC 1951, section 3.2.4). */
const maxBlock = 0xffff /* bytes */

/** Content as a zlib stream of stored blocks (RFC 1950, 1951): the bytes do not depend on how the content comes in chunks. */
export async function* storedZlib(content: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  yield Buffer.from([0x78, 0x01])
  let [a, b] = [1, 0]
  let left = size
  let waiting: Buffer[] = []
  let length = 0
  const block = (bytes: Buffer): Buffer[] => {
    const header = Buffer.alloc(5)
    left -= bytes.length
    header[0] = left === 0 ? 1 : 0
    header.writeUInt16LE(bytes.length, 1)
    header.writeUInt16LE(~bytes.length & 0xffff, 3)
    ;[a, b] = adler32(bytes, [a, b])
    return [header, bytes]
  }
  for await (const chunk of content) {
    waiting.push(chunk)
    length += chunk.length
    if (length < maxBlock) continue
    let bytes = Buffer.concat(waiting, length)
    for (; bytes.length >= maxBlock; bytes = bytes.subarray(maxBlock))
      yield* block(bytes.subarray(0, maxBlock))
    waiting = [bytes]
    length = bytes.length
  }
  if (length > 0 || size === 0) yield* block(Buffer.concat(waiting, length))
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32BE(((b << 16) | a) >>> 0)
  yield checksum
}

/** RFC 1950, section 9. */
function adler32(bytes: Buffer, [low, high]: readonly [number, number]): [number, number] {
  let [a, b] = [low, high]
  for (let start = 0; start < bytes.length; start += 3800) {
    const end = Math.min(start + 3800, bytes.length)
    for (let i = start; i < end; i++) {
      a += bytes[i]!
      b += a
    }
    a %= 65_521
    b %= 65_521
  }
  return [a, b]
}
