import { z } from 'zod'
import { checkArtifactNames } from '../content/artifact-names.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, digestOf, isDigest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import type { ByteSource } from './byte-source.ts'
import { type BundleEntry, endOf, headerOf, placeEntries, trailerSize, type UnplacedEntry } from './entry.ts'
import { bundleFormat, decodeFrontTable } from './front-table.ts'
import { type BundleInfo, bundleKeys, ociLayoutBytes } from './layout.ts'
import { blockSize, decodeHeader, looksLikeTar, paddingOf, type TarHeader } from './tar-header.ts'

/** The front of a bundle: enough to find and check everything else. */
export interface Front {
  entries: BundleEntry[]
  /** descriptors of index.json */
  roots: Descriptor[]
  indexDigest: Digest
  info: BundleInfo & { format: number }
}

/** The first read; it covers the front of most bundles. */
const firstRead = 1 << 20 /* bytes */
/** 100,000 artifacts, a million entries. A larger size is a damaged header, or made to exhaust memory (CWE-400). */
const maxIndexSize = 64 << 20 /* bytes */
const maxTableSize = 160 << 20 /* bytes */

/**
 * Reads and checks oci-layout, index.json and airgap.json. Throws BUNDLE_UNREADABLE (not a bundle), BUNDLE_VERSION (a newer format),
 * BUNDLE_CORRUPT (damaged, truncated or too long). The format is checked before the table, whose form depends on it.
 */
export async function readFront(source: ByteSource): Promise<Front> {
  const reader = await FrontReader.start(source)
  checkFirstHeader(reader.peek(), source)
  const layout = await reader.next('oci-layout', ociLayoutBytes.length)
  if (!layout.bytes.equals(ociLayoutBytes)) throw corrupt('oci-layout has unexpected content', source)
  const index = await reader.next('index.json', maxIndexSize)
  const parsed = parseIndex(index.bytes, source)
  checkFormat(parsed.annotations, source)
  checkArtifactNames(parsed.manifests)
  const table = await reader.next('airgap.json', maxTableSize)
  const { index: indexDigest, entries: rest } = decodeFrontTable(table.bytes, source.name)
  if (digestOf(index.bytes) !== indexDigest)
    throw corrupt('index.json does not have the digest in the front table', source)
  const entries = placeEntries([layout.entry, index.entry, table.entry, ...rest], 0)
  checkSize(endOf(entries.at(-1)!) + trailerSize, source)
  return {
    entries,
    roots: parsed.manifests,
    indexDigest,
    info: infoOf(parsed.annotations, source),
  }
}

/** Reads the entries from the start, one after the other, with few reads. */
class FrontReader {
  readonly #source: ByteSource
  readonly #head: Buffer
  #position = 0

  private constructor(source: ByteSource, head: Buffer) {
    this.#source = source
    this.#head = head
  }

  static async start(source: ByteSource): Promise<FrontReader> {
    const head = Buffer.alloc(Math.min(firstRead, source.size))
    await source.read(head, 0)
    return new FrontReader(source, head)
  }

  peek(): Buffer {
    return this.#head.subarray(0, blockSize)
  }

  async next(path: string, maxSize: number): Promise<{ entry: UnplacedEntry; bytes: Buffer }> {
    const header = decodeHeader(await this.#take(blockSize), `${this.#source.name}: ${path}`)
    const entry: TarHeader = { path, type: 'file', size: header.size, mode: 0o644 }
    if (header.size > maxSize || !headerOf(entry).equals(headerOf(header))) {
      throw corrupt(`${path} is not at its position`, this.#source)
    }
    const bytes = await this.#take(header.size)
    const padding = await this.#take(paddingOf(header.size))
    if (!padding.equals(Buffer.alloc(padding.length)))
      throw corrupt(`the padding after ${path} is not zero`, this.#source)
    return { entry, bytes }
  }

  async #take(length: number): Promise<Buffer> {
    const start = this.#position
    const end = start + length
    if (end > this.#source.size)
      throw cutShort(end - this.#source.size, { source: this.#source, atLeast: true })
    this.#position = end
    if (end <= this.#head.length) return this.#head.subarray(start, end)
    const bytes = Buffer.alloc(length)
    await this.#source.read(bytes, start)
    return bytes
  }
}

/** The first header is always the same, so that a damaged bundle can be distinguished from another file. */
function checkFirstHeader(block: Buffer, source: ByteSource): void {
  if (source.size === 0) throw cutShort(blockSize, { source, atLeast: true })
  const expected = headerOf({ path: 'oci-layout', type: 'file', size: ociLayoutBytes.length, mode: 0o644 })
  if (block.equals(expected)) return
  if (block.length < blockSize) {
    if (expected.subarray(0, block.length).equals(block))
      throw cutShort(blockSize - block.length, { source, atLeast: true })
    throw unreadable('the file is not a bundle: it is not a tar', source)
  }
  if (block[0] === 0x1f && block[1] === 0x8b)
    throw unreadable('the file is not a bundle: it is compressed', source)
  const claims = looksLikeTar(block) || block.subarray(0, 10).toString('latin1') === 'oci-layout'
  if (!claims) throw unreadable('the file is not a bundle: it is not a tar', source)
  let intact = true
  try {
    decodeHeader(block, source.name)
  } catch {
    intact = isForeignHeader(block)
  }
  if (intact) throw unreadable('the file is not a bundle: it is a tar of another program', source)
  throw corrupt('the first tar header is damaged', source)
}

/** Another program's tar has a right checksum, though nothing else is as we write it. */
function isForeignHeader(block: Buffer): boolean {
  const written = Number.parseInt(block.toString('latin1', 148, 156), 8)
  const sum = block.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0)
  return written === sum
}

const descriptorSchema = z.looseObject({
  mediaType: z.string(),
  digest: z.string().refine(isDigest),
  size: z.number().int().nonnegative(),
  annotations: z.record(z.string(), z.string()).optional(),
  artifactType: z.string().optional(),
})
const indexSchema = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.literal(mediaTypes.ociIndex),
  manifests: z.array(descriptorSchema),
  annotations: z.record(z.string(), z.string()).default({}),
})

function parseIndex(
  bytes: Buffer,
  source: ByteSource,
): { manifests: Descriptor[]; annotations: Record<string, string> } {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw corrupt('index.json is not JSON', source, error)
  }
  const parsed = indexSchema.safeParse(value)
  if (!parsed.success) throw corrupt('index.json is not an OCI index', source, parsed.error)
  return { manifests: parsed.data.manifests as Descriptor[], annotations: parsed.data.annotations }
}

function checkFormat(annotations: Record<string, string>, source: ByteSource): void {
  const written = annotations[bundleKeys.format]
  if (written === String(bundleFormat)) return
  if (written === undefined) throw unreadable('the file is an OCI archive of another program', source)
  if (!/^[1-9][0-9]{0,5}$/.test(written)) throw corrupt('index.json has an invalid bundle format', source)
  // it is printed, and anyone may have written it
  const [minimum] = /^[0-9][0-9A-Za-z.+-]{0,39}$/.exec(annotations[bundleKeys.minimumTool] ?? '') ?? []
  throw new AirgapError(
    'BUNDLE_VERSION',
    `the bundle has format ${written}, this tool reads format ${bundleFormat}`,
    {
      item: source.name,
      likely: 'it was built by a newer version of airgap',
      next: `use airgap ${minimum === undefined ? 'of the version that built it' : `${minimum} or newer`}; the bundle contains an offline-deploy of its own: tar xf BUNDLE offline-deploy`,
    },
  )
}

/** Name and version of a bundle, as in a lock (lock/schema.ts). They become part of output and of file names. */
const infoPattern = /^[A-Za-z0-9][A-Za-z0-9.+~_-]{0,62}$/

function infoOf(annotations: Record<string, string>, source: ByteSource): Front['info'] {
  const { [bundleKeys.format]: format, [bundleKeys.minimumTool]: minimumTool, ...others } = annotations
  const { [annotationKeys.title]: name = '', [annotationKeys.version]: version = '', ...rest } = others
  if (![name, version].every(text => infoPattern.test(text)))
    throw corrupt('index.json has an invalid name or version of the bundle', source)
  return defined({ format: Number(format), name, version, minimumTool, annotations: rest })
}

function checkSize(expected: number, source: ByteSource): void {
  if (source.size < expected) throw cutShort(expected - source.size, { source, atLeast: false })
  if (source.size > expected)
    throw corrupt(`the file is ${source.size - expected} bytes longer than the bundle`, source)
}

function cutShort(
  missing: number,
  { source, atLeast }: { source: ByteSource; atLeast: boolean },
): AirgapError {
  return new AirgapError(
    'BUNDLE_CORRUPT',
    `the bundle is truncated: ${atLeast ? 'at least ' : ''}${missing} bytes are missing`,
    {
      item: source.name,
      likely: 'the copy was interrupted, or the medium is full',
      next: 'copy it again, and unmount the medium before removing it',
    },
  )
}

function corrupt(what: string, source: ByteSource, cause?: unknown): AirgapError {
  return new AirgapError('BUNDLE_CORRUPT', what, {
    item: source.name,
    likely: 'the file was damaged while it was copied, or changed by another program',
    next: 'copy the bundle again',
    cause,
  })
}

function unreadable(what: string, source: ByteSource): AirgapError {
  return new AirgapError('BUNDLE_UNREADABLE', what, {
    item: source.name,
    likely: 'the path is that of another file, or the bundle was compressed or wrapped in another archive',
    next: 'pass the .tar that `airgap build` wrote, without any other archive around it',
  })
}
