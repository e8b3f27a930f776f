import { withoutTrailing } from '../core/trim.ts'
import { Unreadable } from './unreadable.ts'

/**
 * Headers of a layer's tar, read as Go's archive/tar reads them (reader.go, strconv.go): container runtimes unpack layers with it, and a
 * reader that understood a header differently could be shown other packages than the machine gets.
 */

export interface TarHeader {
  name: string
  linkName: string
  /** `0` a file, `1` a hard link, `2` a symbolic link, `5` a folder; other characters as they are */
  type: string
  mode: number
  /** bytes of content in the stream */
  size: number
  /** only parts of the content are in the stream (GNU sparse files) */
  sparse: boolean
}

export const blockSize = 512

/** Whether a header of this type has no content, whatever size it states (`isHeaderOnly`). */
export function isHeaderOnly(type: string): boolean {
  return ['1', '2', '3', '4', '5', '6'].includes(type)
}

/** Returns undefined for a block of zeros. Throws Unreadable. */
export function parseTarHeader(block: Buffer): TarHeader | undefined {
  if (!hasChecksum(block)) {
    if (block.every(byte => byte === 0)) return undefined
    throw new Unreadable('a tar header has a wrong checksum')
  }
  const magic = block.toString('latin1', 257, 265)
  const isUstar = magic.startsWith('ustar\0')
  const isStar = isUstar && block.toString('latin1', 508, 512) === 'tar\0'
  const prefix = isUstar ? text(block, { start: 345, end: isStar ? 476 : 500 }) : ''
  const name = text(block, { start: 0, end: 100 })
  const type = block[156] === 0 ? '0' : String.fromCharCode(block[156]!)
  const size = numeric(block.subarray(124, 136))
  if (size < 0) throw new Unreadable('a tar header has a negative size')
  const full = prefix === '' ? name : `${prefix}/${name}`
  return {
    name: full,
    linkName: text(block, { start: 157, end: 257 }),
    type,
    mode: numeric(block.subarray(100, 108)),
    size: isHeaderOnly(type) ? 0 : size,
    sparse: type === 'S',
  }
}

function text(block: Buffer, { start, end }: { start: number; end: number }): string {
  const stop = block.subarray(start, end).indexOf(0)
  return block.toString('utf8', start, stop < 0 ? end : start + stop)
}

/** `verifyChecksum`: programs of old summed signed bytes. */
function hasChecksum(block: Buffer): boolean {
  let unsigned = 0
  let signed = 0
  for (let i = 0; i < blockSize; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : block[i]!
    unsigned += byte
    signed += byte < 128 ? byte : byte - 256
  }
  const field = withoutTrailing(block.toString('latin1', 148, 156).replace(/^[\0 ]+/, ''), '\0 ')
  if (!/^[0-7]{1,8}$/.test(field)) return false
  const stated = Number.parseInt(field, 8)
  return stated === unsigned || stated === signed
}

/** Octal, or GNU's base 256. */
function numeric(field: Buffer): number {
  if ((field[0]! & 0x80) !== 0) {
    const isNegative = (field[0]! & 0x40) !== 0
    if (isNegative) throw new Unreadable('a tar header has a negative number')
    let value = field[0]! & 0x3f
    for (const byte of field.subarray(1)) value = value * 256 + byte
    if (!Number.isSafeInteger(value)) throw new Unreadable('a tar header has an impossible number')
    return value
  }
  const digits = withoutTrailing(field.toString('latin1').replace(/^[\0 ]+/, ''), '\0 ').split('\0')[0]!
  if (digits === '') return 0
  if (!/^[0-7]{1,12}$/.test(digits)) throw new Unreadable('a tar header has a malformed number')
  return Number.parseInt(digits, 8)
}

/** The blocks that follow a header of type `S` while the flag in the last byte but seven is set (old GNU format). */
export function hasSparseExtension(block: Buffer, { isHeader }: { isHeader: boolean }): boolean {
  return block[isHeader ? 482 : 504] === 1
}

/** Records of a pax header: `LENGTH KEY=VALUE\n` (`parsePAXRecord`). A key without a value removes an earlier one. Throws Unreadable. */
export function parsePax(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>()
  let at = 0
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at)
    const digits = space < 0 || space - at > 8 ? '' : bytes.toString('latin1', at, space)
    const length = /^\d+$/.test(digits) ? Number(digits) : 0
    const end = at + length
    if (length === 0 || end > bytes.length || end <= space + 1 || bytes[end - 1] !== 0x0a)
      throw new Unreadable('a tar has a malformed pax header')
    const equals = bytes.indexOf(0x3d, space)
    if (equals < 0 || equals >= end) throw new Unreadable('a tar has a malformed pax header')
    const [key, value] = [
      bytes.toString('utf8', space + 1, equals),
      bytes.toString('utf8', equals + 1, end - 1),
    ]
    if (key === '' || key.includes('\0') || (/^(path|linkpath)$/.test(key) && value.includes('\0')))
      throw new Unreadable('a tar has a malformed pax header')
    records.set(key, value)
    at = end
  }
  return records
}

/** `mergePAX`, and the names of GNU's long headers, which win. Throws Unreadable. */
export function mergeExtensions(
  header: TarHeader,
  { pax, longName, longLink }: { pax: ReadonlyMap<string, string>; longName: string; longLink: string },
): TarHeader {
  const size = pax.get('size') || undefined
  if (size !== undefined && !/^\d{1,15}$/.test(size)) throw new Unreadable('a tar has a malformed pax header')
  const isSparse = [...pax.keys()].some(key => key.startsWith('GNU.sparse.'))
  const name = longName || pax.get('GNU.sparse.name') || pax.get('path') || header.name
  const type = header.type === '0' && name.endsWith('/') ? '5' : header.type
  return {
    ...header,
    name,
    type,
    linkName: longLink || pax.get('linkpath') || header.linkName,
    size: isHeaderOnly(type) ? 0 : size === undefined ? header.size : Number(size),
    sparse: header.sparse || isSparse,
  }
}
