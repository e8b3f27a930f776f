import { AirgapError } from '../core/errors.ts'

/**
 * The 512-byte header of one tar entry: POSIX ustar (IEEE 1003.1-2017, pax, "ustar Interchange Format"), with GNU's base-256 size from
 * 8 GiB. Nothing in it varies: mtime 0, uid and gid 0, no user or group names. Hence there is exactly one header per set of fields, and
 * decoding accepts no other.
 */
export interface TarHeader {
  /** at most 100 bytes of UTF-8 */
  path: string
  /** bytes of content; 0 for a link */
  size: number
  /** permission bits, usually 0o644 or 0o755 */
  mode: number
  type: 'file' | 'link'
  /** of a hard link: the path of an earlier entry */
  target?: string
}

export const blockSize = 512 /* bytes */

/** Returns the number of zero bytes between the end of the content and the next header. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize
}

/** offset, length */
const fields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  magic: [257, 8],
  deviceMajor: [329, 8],
  deviceMinor: [337, 8],
} as const

const magic = 'ustar\x0000'
/** The largest size of eleven octal digits; larger ones are base-256. */
const largestOctal = 0o77777777777

export function encodeHeader(header: TarHeader): Buffer {
  const block = Buffer.alloc(blockSize)
  putText(block, fields.name, header.path)
  putOctal(block, fields.mode, header.mode)
  putOctal(block, fields.uid, 0)
  putOctal(block, fields.gid, 0)
  putSize(block, header.size)
  putOctal(block, fields.mtime, 0)
  block.write(header.type === 'link' ? '1' : '0', fields.type[0], 'latin1')
  if (header.target !== undefined) putText(block, fields.linkName, header.target)
  block.write(magic, fields.magic[0], 'latin1')
  putOctal(block, fields.deviceMajor, 0)
  putOctal(block, fields.deviceMinor, 0)
  block.write(`${octal(checksumOf(block), 6)}\0 `, fields.checksum[0], 'latin1')
  return block
}

/** Parses a header. Throws BUNDLE_CORRUPT for every block that `encodeHeader` does not write; `item` is its place, for the message. */
export function decodeHeader(block: Uint8Array, item: string): TarHeader {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
  const refuse = (what: string) => damagedHeader(what, item)
  if (bytes.length !== blockSize) throw refuse('the tar header is incomplete')
  if (text(bytes, fields.checksum) !== octal(checksumOf(bytes), 6))
    throw refuse('the tar header has a wrong checksum')
  const flag = bytes.toString('latin1', fields.type[0], fields.type[0] + 1)
  // PAX (x, g) and GNU long names (L, K) can override the name or size of the next header: never made by us
  if (flag !== '0' && flag !== '1')
    throw refuse(`a tar entry of type ${JSON.stringify(flag)} has no place in a bundle`)
  const header: TarHeader = {
    path: text(bytes, fields.name),
    size: takeSize(bytes, refuse),
    mode: Number.parseInt(text(bytes, fields.mode), 8),
    type: flag === '1' ? 'link' : 'file',
  }
  if (flag === '1') header.target = text(bytes, fields.linkName)
  if (!isEncodable(header) || !encodeHeader(header).equals(bytes))
    throw refuse('the tar header is not one that airgap writes')
  return header
}

/** Returns whether name and target fit into a ustar header without prefix, and the numbers are valid. */
export function isEncodable(header: TarHeader): boolean {
  const fits = (value: string) => value.length > 0 && Buffer.byteLength(value) <= 100 && !value.includes('\0')
  return (
    fits(header.path) &&
    Number.isSafeInteger(header.size) &&
    header.size >= 0 &&
    Number.isInteger(header.mode) &&
    header.mode >= 0 &&
    header.mode <= 0o7777 &&
    (header.type === 'file' ? header.target === undefined : header.size === 0 && fits(header.target ?? ''))
  )
}

/** Returns whether the block claims to be a tar header. */
export function looksLikeTar(block: Uint8Array): boolean {
  return Buffer.from(block).toString('latin1', fields.magic[0], fields.magic[0] + 5) === 'ustar'
}

function damagedHeader(what: string, item: string): AirgapError {
  return new AirgapError('BUNDLE_CORRUPT', what, {
    item,
    likely: 'the file was damaged while it was copied, or changed by another program',
    next: 'copy the bundle again, then run `verify` on the copy',
  })
}

type Field = readonly [offset: number, length: number]

function putText(block: Buffer, [offset, length]: Field, value: string): void {
  const bytes = Buffer.from(value)
  if (bytes.length === 0 || bytes.length > length || bytes.includes(0)) {
    throw new AirgapError('INTERNAL', 'the name does not fit into a tar header', {
      item: JSON.stringify(value.slice(0, 300)),
    })
  }
  bytes.copy(block, offset)
}

function putOctal(block: Buffer, [offset, length]: Field, value: number): void {
  block.write(octal(value, length - 1), offset, 'latin1')
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

function putSize(block: Buffer, size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new AirgapError('INTERNAL', 'the size does not fit into a tar header', { item: String(size) })
  }
  if (size <= largestOctal) {
    putOctal(block, fields.size, size)
    return
  }
  const [offset, length] = fields.size
  block[offset] = 0x80
  block.writeBigUInt64BE(BigInt(size), offset + length - 8)
}

function takeSize(block: Buffer, refuse: (what: string) => AirgapError): number {
  const [offset, length] = fields.size
  const first = block[offset]!
  if (first < 0x80) return Number.parseInt(text(block, fields.size), 8)
  // the sign bit of base-256 is 0x40; the three bytes above 64 bits must be empty
  if (first & 0x40) throw refuse('the tar header has a negative size')
  const size = block.readBigUInt64BE(offset + length - 8)
  const above = block.readUIntBE(offset, 4) - 0x80000000
  if (above !== 0 || size > BigInt(Number.MAX_SAFE_INTEGER))
    throw refuse('the tar header has a size above 2^53 bytes')
  return Number(size)
}

function text(block: Buffer, [offset, length]: Field): string {
  const end = block.indexOf(0, offset)
  return block.toString('utf8', offset, end < 0 || end > offset + length ? offset + length : end)
}

/** Returns the sum of all bytes, with the checksum field as spaces. */
function checksumOf(block: Uint8Array): number {
  const [start, length] = fields.checksum
  let sum = 0x20 * length
  for (let i = 0; i < blockSize; i++) if (i < start || i >= start + length) sum += block[i]!
  return sum
}
