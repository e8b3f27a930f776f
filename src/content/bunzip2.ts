/**
 * bzip2, as Julian Seward's bzip2 1.0 writes it (there is no specification; the names are those of its decompress.c). The npm
 * libraries keep a whole block's output as an array of numbers, a gigabyte for a decompression bomb (CWE-409); this decoder holds
 * the input, one block (3.6 MB) and 64 KiB of output.
 */

/** The start of a block, and the end of a stream: the digits of pi and of its square root. */
const blockMagic = 0x314159265359
const endMagic = 0x177245385090
/** symbols decoded by one coding table before the next selector */
const groupSize = 50
const maxCodeLength = 20
const runA = 0
const runB = 1

/** Decompresses one or several bzip2 streams. Throws an Error where the input is damaged or ends early. */
export async function* bunzip2(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  const bits = new BitReader(Buffer.concat(chunks))
  do {
    const level = streamLevel(bits)
    const block = { bytes: new Uint32Array(level * 100_000), length: 0, start: 0 }
    let combined = 0
    for (;;) {
      const magic = bits.read(24) * 2 ** 24 + bits.read(24)
      const checksum = bits.read32()
      if (magic === endMagic) {
        if (checksum !== combined) throw new Error('bzip2: the checksum of the stream is wrong')
        break
      }
      if (magic !== blockMagic) throw new Error('bzip2: a block does not start with its magic number')
      readBlock(bits, block)
      const found = { crc: 0 }
      yield* originalBytes(block, found)
      if (found.crc !== checksum) throw new Error('bzip2: the checksum of a block is wrong')
      combined = (((combined << 1) | (combined >>> 31)) ^ checksum) >>> 0
    }
    bits.align()
  } while (!bits.isAtEnd)
}

function streamLevel(bits: BitReader): number {
  const signature = bits.read(24)
  const level = bits.read(8) - 0x30
  if (signature !== 0x425a68 || level < 1 || level > 9) throw new Error('bzip2: not a bzip2 stream')
  return level
}

interface Block {
  /** the last column of the sorted rotations in the low 8 bits, the link to the next row above */
  bytes: Uint32Array
  length: number
  /** row of the original text */
  start: number
}

function readBlock(bits: BitReader, block: Block): void {
  if (bits.read(1) === 1) throw new Error('bzip2: a randomised block, of a version before 0.9.5')
  block.start = bits.read(24)
  const symbols = usedSymbols(bits)
  const groups = bits.read(3)
  if (groups < 2 || groups > 6) throw new Error('bzip2: an invalid number of coding tables')
  const selectors = readSelectors(bits, groups)
  const tables = Array.from({ length: groups }, () => readCodingTable(bits, symbols.length + 2))
  const counts = decodeSymbols(bits, { block, symbols, selectors, tables })
  linkRows(block, counts)
}

function usedSymbols(bits: BitReader): number[] {
  const ranges = bits.read(16)
  const symbols: number[] = []
  for (let range = 0; range < 16; range++) {
    if (((ranges >> (15 - range)) & 1) === 0) continue
    const used = bits.read(16)
    for (let i = 0; i < 16; i++) if (((used >> (15 - i)) & 1) === 1) symbols.push(range * 16 + i)
  }
  if (symbols.length === 0) throw new Error('bzip2: a block without symbols')
  return symbols
}

function readSelectors(bits: BitReader, groups: number): Uint8Array {
  const count = bits.read(15)
  if (count === 0) throw new Error('bzip2: a block without selectors')
  const order = Array.from({ length: groups }, (_, i) => i)
  return Uint8Array.from({ length: count }, () => {
    let place = 0
    while (bits.read(1) === 1) if (++place >= groups) throw new Error('bzip2: an invalid selector')
    return moveToFront(order, place)
  })
}

function moveToFront(order: number[], place: number): number {
  const value = order[place]!
  for (let i = place; i > 0; i--) order[i] = order[i - 1]!
  order[0] = value
  return value
}

/** A canonical Huffman code: by length, the largest code, and what to subtract to get the place in `symbols`. */
interface CodingTable {
  limit: Int32Array
  base: Int32Array
  symbols: Uint16Array
}

function readCodingTable(bits: BitReader, size: number): CodingTable {
  const lengths = new Uint8Array(size)
  let length = bits.read(5)
  for (let symbol = 0; symbol < size; symbol++) {
    for (;;) {
      if (length < 1 || length > maxCodeLength) throw new Error('bzip2: an invalid code length')
      if (bits.read(1) === 0) break
      length += bits.read(1) === 0 ? 1 : -1
    }
    lengths[symbol] = length
  }
  const limit = new Int32Array(maxCodeLength + 1).fill(-1)
  const base = new Int32Array(maxCodeLength + 1)
  const symbols = new Uint16Array(size)
  let code = 0
  let place = 0
  for (let bitCount = 1; bitCount <= maxCodeLength; bitCount++) {
    base[bitCount] = code - place
    for (let symbol = 0; symbol < size; symbol++) {
      if (lengths[symbol] !== bitCount) continue
      symbols[place++] = symbol
      code++
    }
    limit[bitCount] = code - 1
    code *= 2
  }
  return { limit, base, symbols }
}

function decodeSymbols(
  bits: BitReader,
  {
    block,
    symbols,
    selectors,
    tables,
  }: { block: Block; symbols: number[]; selectors: Uint8Array; tables: CodingTable[] },
): Uint32Array {
  const { bytes } = block
  const counts = new Uint32Array(256)
  const end = symbols.length + 1
  const order = [...symbols]
  let length = 0
  let run = 0
  let weight = 1
  for (let position = 0; ; position++) {
    const selector = selectors[Math.floor(position / groupSize)]
    if (selector === undefined) throw new Error('bzip2: a block with too few selectors')
    const symbol = decodeSymbol(bits, tables[selector]!)
    if (symbol === runA || symbol === runB) {
      run += weight * (symbol + 1)
      weight *= 2
      if (run > bytes.length) throw new Error('bzip2: a block is longer than its stream allows')
      continue
    }
    if (run > 0) {
      const value = order[0]!
      if (length + run > bytes.length) throw new Error('bzip2: a block is longer than its stream allows')
      bytes.fill(value, length, length + run)
      counts[value]! += run
      length += run
      run = 0
      weight = 1
    }
    if (symbol === end) break
    if (length >= bytes.length) throw new Error('bzip2: a block is longer than its stream allows')
    const value = moveToFront(order, symbol - 1)
    bytes[length++] = value
    counts[value]!++
  }
  if (block.start >= length) throw new Error('bzip2: the start is outside of the block')
  block.length = length
  return counts
}

function decodeSymbol(bits: BitReader, { limit, base, symbols }: CodingTable): number {
  let code = 0
  for (let length = 1; length <= maxCodeLength; length++) {
    code = code * 2 + bits.read(1)
    if (code > limit[length]!) continue
    const symbol = symbols[code - base[length]!]
    if (symbol !== undefined) return symbol
  }
  throw new Error('bzip2: an invalid code')
}

/** The inverse Burrows-Wheeler transform: links each row to the one that follows it in the text. */
function linkRows({ bytes, length }: Block, counts: Uint32Array): void {
  let sum = 0
  for (let value = 0; value < 256; value++) {
    const count = counts[value]!
    counts[value] = sum
    sum += count
  }
  for (let row = 0; row < length; row++) bytes[counts[bytes[row]! & 0xff]!++]! |= row << 8
}

/** Follows the rows and expands runs: after four equal bytes comes a count of further ones. */
function* originalBytes({ bytes, length, start }: Block, found: { crc: number }): Generator<Uint8Array> {
  let output = new Uint8Array(64 * 1024)
  let size = 0
  let crc = 0xffffffff
  let row = bytes[start]! >>> 8
  let last = -1
  let equal = 0
  for (let i = 0; i < length; i++) {
    const entry = bytes[row]!
    const value = entry & 0xff
    row = entry >>> 8
    const isCount = equal === 4
    const times = isCount ? value : 1
    if (isCount) equal = 0
    else {
      equal = value === last ? equal + 1 : 1
      last = value
    }
    for (let n = 0; n < times; n++) {
      if (size === output.length) {
        yield output
        output = new Uint8Array(64 * 1024)
        size = 0
      }
      output[size++] = last
      crc = (crc << 8) ^ crcTable[((crc >>> 24) ^ last) & 0xff]!
    }
    if (isCount) last = -1
  }
  found.crc = ~crc >>> 0
  if (size > 0) yield output.subarray(0, size)
}

/** CRC-32 with the most significant bit first, unlike that of gzip. */
const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0)
  return crc
})

class BitReader {
  readonly #bytes: Uint8Array
  #at = 0
  #held = 0
  #count = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** At most 24 bits. */
  read(count: number): number {
    while (this.#count < count) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new Error('bzip2: the input ends early')
      this.#held = ((this.#held << 8) | byte) >>> 0
      this.#count += 8
    }
    this.#count -= count
    return (this.#held >>> this.#count) & (2 ** count - 1)
  }

  read32(): number {
    return this.read(16) * 2 ** 16 + this.read(16)
  }

  /** Drops the bits up to the next byte. */
  align(): void {
    this.#count -= this.#count % 8
  }

  get isAtEnd(): boolean {
    return this.#count < 8 && this.#at >= this.#bytes.length
  }
}
