import { createHash, type Hash, randomBytes } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { zlibSync } from 'fflate'
import type { LayoutStore } from '../../content/layout-store.ts'
import { Hasher } from '../../core/digest.ts'
import { AirgapError, fromSystemError } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import type { LockedPack } from './locked.ts'
import type { GitObject, ObjectType } from './objects.ts'
import { type PackEntry, packIndex } from './pack-index.ts'
import { storedZlib } from './stored-zlib.ts'

/**
 * Larger objects are stored, not compressed: they are archives and images as a rule, and this way they are never in memory as a
 * whole.
 */
const maxCompressed = 8 << 20 /* bytes */

/** gitformat-pack(5), "Object types" */
const typeNumbers: Record<ObjectType, number> = { commit: 1, tree: 2, blob: 3, tag: 4 }

/**
 * Writes objects as a pack and its index into the cache. The bytes are a function of the objects alone: sorted by id, no deltas, and
 * compressed by a library that this tool is pinned to. git's own packs change with its version and with the number of
 * threads, zlib's output with the version of Node and the processor. Each object is checked against its id.
 */
export async function writePack(
  objects: AsyncIterable<GitObject>,
  { count, cache }: { count: number; cache: LayoutStore },
): Promise<LockedPack> {
  const temporary = join(cache.folder, `pack-${randomBytes(6).toString('hex')}.tmp`)
  try {
    const file = await open(temporary, 'wx')
    const writer = new PackWriter(file)
    let pack: Omit<LockedPack, 'index'>
    try {
      await writer.start(count)
      for await (const object of objects) await writer.add(object)
      pack = await writer.finish()
    } finally {
      await file.close()
    }
    const descriptor = { mediaType: mediaTypes.octets, digest: pack.digest, size: pack.size }
    await cache.adopt(temporary, descriptor)
    return { ...pack, index: await writeIndex(writer.entries, { pack: pack.id, cache }) }
  } catch (error) {
    throw fromSystemError(error, cache.folder)
  } finally {
    await rm(temporary, { force: true })
  }
}

async function writeIndex(
  entries: readonly PackEntry[],
  { pack, cache }: { pack: string; cache: LayoutStore },
): Promise<LockedPack['index']> {
  const temporary = join(cache.folder, `pack-${randomBytes(6).toString('hex')}.tmp`)
  const bytes = packIndex(entries, pack)
  const file = await open(temporary, 'wx')
  try {
    await file.writeFile(bytes)
  } finally {
    await file.close()
  }
  const hasher = new Hasher()
  hasher.update(bytes)
  const found = { digest: hasher.digest(), size: bytes.length }
  await cache.adopt(temporary, { mediaType: mediaTypes.octets, ...found })
  return found
}

class PackWriter {
  readonly entries: PackEntry[] = []
  readonly #file: FileHandle
  readonly #sha1: Hash = createHash('sha1')
  readonly #sha256 = new Hasher()
  #size = 0
  #buffered: Buffer[] = []
  #bufferedSize = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  async start(count: number): Promise<void> {
    const header = Buffer.from('PACK\0\0\0\u0002\0\0\0\0', 'latin1')
    header.writeUInt32BE(count, 8)
    await this.#write(header)
  }

  async add(object: GitObject): Promise<void> {
    const { id, type, size } = object
    const entry: PackEntry = { id, offset: this.#size, crc: 0 }
    const put = async (bytes: Uint8Array) => {
      entry.crc = crc32(bytes, entry.crc)
      await this.#write(bytes)
    }
    await put(entryHeader(typeNumbers[type], size))
    const checked = checkedContent(object)
    if (size > maxCompressed) for await (const chunk of storedZlib(checked, size)) await put(chunk)
    else await put(zlibSync(await wholeOf(checked, size), { level: 6 }))
    this.entries.push(entry)
  }

  async finish(): Promise<Omit<LockedPack, 'index'>> {
    const checksum = this.#sha1.copy().digest()
    await this.#write(checksum)
    await this.#flush()
    return {
      id: checksum.toString('hex'),
      objects: this.entries.length,
      digest: this.#sha256.digest(),
      size: this.#size,
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#sha1.update(bytes)
    this.#sha256.update(bytes)
    this.#size += bytes.length
    this.#buffered.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    this.#bufferedSize += bytes.length
    if (this.#bufferedSize > 1 << 20) await this.#flush()
  }

  async #flush(): Promise<void> {
    await this.#file.writeFile(Buffer.concat(this.#buffered, this.#bufferedSize))
    this.#buffered = []
    this.#bufferedSize = 0
  }
}

/** Type and size: 4 bits of the size in the first byte, then 7 in each. */
function entryHeader(type: number, size: number): Buffer {
  const bytes = [(type << 4) | (size & 0x0f)]
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1]! |= 0x80
    bytes.push(rest & 0x7f)
  }
  return Buffer.from(bytes)
}

/** The id of an object is the SHA-1 of type, size and content: a damaged repository must not become a damaged bundle. */
async function* checkedContent({ id, type, size, content }: GitObject): AsyncGenerator<Buffer> {
  const hash = createHash('sha1').update(`${type} ${size}\0`)
  for await (const chunk of content) {
    hash.update(chunk)
    yield chunk
  }
  if (hash.digest('hex') === id) return
  throw new AirgapError('DIGEST_MISMATCH', 'the content of a git object does not match its id', {
    item: id,
    likely: 'a damaged disk or memory',
    next: 'run the same command again; where it happens again, check this machine',
  })
}

async function wholeOf(content: AsyncIterable<Buffer>, size: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of content) chunks.push(chunk)
  return Buffer.concat(chunks, size)
}
