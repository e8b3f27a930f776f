import { inflateRawSync } from 'node:zlib'
import { AirgapError } from '../../core/errors.ts'

/**
 * Reads one file out of a zip archive of which only parts are fetched (PKWARE APPNOTE, 4.3): the directory at its end, then the
 * file. Untrusted: every offset and size is checked against the archive.
 */
export interface RangeReader {
  /** of the whole archive, bytes */
  size: number
  read(start: number, end: number): Promise<Buffer>
}

/** A file of an archive, as its directory describes it. */
export interface ZipEntry {
  name: string
  method: number
  compressed: number
  size: number
  offset: number
}

const maxDirectory = 64 << 20 /* bytes; ansible's wheel has 40,000 files */
const maxFile = 16 << 20 /* bytes */
const tailSize = 64 << 10 /* bytes: the end record with the longest comment */

/** Returns the file whose name fits; undefined where there is none. Two such files are refused. */
export async function readFromZip(
  archive: RangeReader,
  options: { item: string; isWanted: (name: string) => boolean },
): Promise<Buffer | undefined> {
  const zip = await listZip(archive, options)
  const [entry, another] = zip.entries.filter(({ name }) => options.isWanted(name))
  if (another !== undefined) throw failure(options.item)('it contains two matching files')
  return entry && (await zip.read(entry))
}

/** Returns all files of an archive, and how to read one of them. Throws UPSTREAM_INVALID. */
export async function listZip(
  archive: RangeReader,
  { item }: { item: string },
): Promise<{ entries: ZipEntry[]; read(entry: ZipEntry): Promise<Buffer> }> {
  const fail = failure(item)
  const tailStart = Math.max(0, archive.size - tailSize - 22)
  const tail = await archive.read(tailStart, archive.size)
  const { offset, size, count } = endRecord(tail, fail)
  if (size > maxDirectory || offset + size > archive.size)
    throw fail('its central directory is outside the file')
  const directory =
    offset >= tailStart
      ? tail.subarray(offset - tailStart, offset - tailStart + size)
      : await archive.read(offset, offset + size)
  return {
    entries: [...entries(directory, { count, fail })],
    read: entry => contentOf(archive, { entry, fail }),
  }
}

function failure(item: string): Fail {
  return (what: string) =>
    new AirgapError('UPSTREAM_INVALID', `not a zip archive: ${what}`, {
      item,
      likely: 'the file is damaged or malicious',
      next: 'choose another version of the package, with a constraint',
    })
}

type Fail = (what: string) => AirgapError

/** 4.3.16; an archive that requires zip64 is refused. */
function endRecord(tail: Buffer, fail: Fail): { offset: number; size: number; count: number } {
  for (let at = tail.length - 22; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== 0x06054b50 || at + 22 + tail.readUInt16LE(at + 20) !== tail.length) continue
    const [count, size, offset] = [
      tail.readUInt16LE(at + 10),
      tail.readUInt32LE(at + 12),
      tail.readUInt32LE(at + 16),
    ]
    if (offset === 0xffffffff || size === 0xffffffff) throw fail('larger than 4 GiB')
    return { offset, size, count }
  }
  throw fail('its end record is missing')
}

/** 4.3.12 */
function* entries(directory: Buffer, { count, fail }: { count: number; fail: Fail }): Generator<ZipEntry> {
  let at = 0
  // 65,535 means that many or more
  for (let i = 0; i < count || (count === 0xffff && at < directory.length); i++) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== 0x02014b50)
      throw fail('its central directory is damaged')
    const [names, extra, comment] = [28, 30, 32].map(offset => directory.readUInt16LE(at + offset)) as [
      number,
      number,
      number,
    ]
    if (at + 46 + names > directory.length) throw fail('its central directory is damaged')
    yield {
      name: directory.toString('utf8', at + 46, at + 46 + names),
      method: directory.readUInt16LE(at + 10),
      compressed: directory.readUInt32LE(at + 20),
      size: directory.readUInt32LE(at + 24),
      offset: directory.readUInt32LE(at + 42),
    }
    at += 46 + names + extra + comment
  }
}

/** 4.3.7: the local header says again how long name and extra field are. */
async function contentOf(
  archive: RangeReader,
  { entry, fail }: { entry: ZipEntry; fail: Fail },
): Promise<Buffer> {
  const { offset, compressed, size, method } = entry
  if (size > maxFile || compressed > maxFile) throw fail('the file in it is too large')
  const guess = Math.min(archive.size, offset + 30 + entry.name.length + 1024 + compressed)
  if (offset + 30 > archive.size) throw fail('a file lies outside')
  let part = await archive.read(offset, guess)
  if (part.readUInt32LE(0) !== 0x04034b50) throw fail('a file is not where its directory says')
  const start = 30 + part.readUInt16LE(26) + part.readUInt16LE(28)
  if (offset + start + compressed > archive.size) throw fail('a file lies outside')
  if (start + compressed > part.length) part = await archive.read(offset, offset + start + compressed)
  const bytes = part.subarray(start, start + compressed)
  if (method === 0) return Buffer.from(bytes)
  if (method !== 8) throw fail('packed in an unusual way')
  try {
    const content = inflateRawSync(bytes, { maxOutputLength: maxFile })
    if (content.length !== size) throw fail('a file has another size than it says')
    return content
  } catch (error) {
    throw error instanceof AirgapError ? error : fail('a file in it is damaged')
  }
}
