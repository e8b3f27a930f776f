import { AirgapError } from '../../core/errors.ts'

/** The headers of an rpm file (rpm's docs/manual/format.md): lead, signature header, main header. Untrusted. */

/** Values by tag, as bytes; offsets are checked on access. */
export interface RpmHeader {
  string(tag: number): string | undefined
  int32(tag: number): number | undefined
  bin(tag: number): Buffer | undefined
  /** length of the header in bytes */
  length: number
}

export const tags = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  arch: 1022,
  sourceRpm: 1044,
} as const
/** `RSAHEADER` and `DSAHEADER`: a signature over the main header; EdDSA signatures use the latter. */
export const signatureTags = { rsa: 268, dsa: 267 } as const

const magic = Buffer.from([0x8e, 0xad, 0xe8, 0x01])
const maxEntries = 100_000
const maxStore = 256 << 20 /* bytes */

/** The lead, then the signature header, padded to 8 bytes. Returns it with the offset of the main header. */
export function readSignatureHeader(file: Buffer, item: string): { header: RpmHeader; mainStart: number } {
  if (file.length < 112 || file.readUInt32BE(0) !== 0xedabeedb) throw malformed('no rpm', item)
  const header = readHeader(file.subarray(96), item)
  return { header, mainStart: 96 + Math.ceil(header.length / 8) * 8 }
}

/**
 * Returns where the main header ends, as far as the bytes say it: at least the end of the part that must be read next. In bytes from
 * the start of the file.
 */
export function headerEnd(file: Buffer, item: string): number {
  const intro = 16
  if (file.length < 96 + intro) return 96 + intro
  if (file.readUInt32BE(0) !== 0xedabeedb) throw malformed('no rpm', item)
  const lengthAt = (at: number) => intro + file.readUInt32BE(at + 8) * 16 + file.readUInt32BE(at + 12)
  const main = 96 + Math.ceil(lengthAt(96) / 8) * 8
  return file.length < main + intro ? main + intro : main + lengthAt(main)
}

export function readHeader(bytes: Buffer, item: string): RpmHeader {
  if (bytes.length < 16 || !bytes.subarray(0, 4).equals(magic))
    throw malformed('a header without the magic number', item)
  const [count, size] = [bytes.readUInt32BE(8), bytes.readUInt32BE(12)]
  if (count > maxEntries || size > maxStore) throw malformed('a header with an impossible size', item)
  const storeStart = 16 + count * 16
  const length = storeStart + size
  if (length > bytes.length) throw malformed('a truncated header', item)
  const store = bytes.subarray(storeStart, length)
  const entries = new Map<number, { type: number; offset: number; count: number }>()
  for (let at = 16; at < storeStart; at += 16) {
    const [tag, type, offset, items] = [0, 4, 8, 12].map(part => bytes.readUInt32BE(at + part)) as [
      number,
      number,
      number,
      number,
    ]
    // readers differ in which of two entries with one tag they use
    if (entries.has(tag)) throw malformed(`a header with tag ${tag} twice`, item)
    if (offset > size) throw malformed('a header entry that points outside the data', item)
    entries.set(tag, { type, offset, count: items })
  }
  return {
    length,
    string(tag) {
      const entry = entries.get(tag)
      // STRING, STRING_ARRAY, I18NSTRING: the first one
      if (entry === undefined || ![6, 8, 9].includes(entry.type)) return undefined
      const end = store.indexOf(0, entry.offset)
      if (end < 0) throw malformed('an unterminated string', item)
      return store.toString('utf8', entry.offset, end)
    },
    int32(tag) {
      const entry = entries.get(tag)
      if (entry === undefined || entry.type !== 4 || entry.count < 1) return undefined
      if (entry.offset + 4 > size) throw malformed('a number outside the data', item)
      return store.readUInt32BE(entry.offset)
    },
    bin(tag) {
      const entry = entries.get(tag)
      if (entry === undefined || entry.type !== 7) return undefined
      if (entry.offset + entry.count > size) throw malformed('bytes outside', item)
      return store.subarray(entry.offset, entry.offset + entry.count)
    },
  }
}

function malformed(what: string, item: string): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `a package cannot be read: ${what}`, {
    item,
    likely: 'a damaged or malicious file',
    next: 'use another mirror; if the error remains, report it to the maintainers of the repository',
  })
}
