import { mkdir, open, rename, rm } from 'node:fs/promises'
import { endianness } from 'node:os'
import { dirname, join } from 'node:path'
import { temporaryPathOf } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { type Digest, digestOf, Hasher, hexOf } from '../core/digest.ts'
import { toolVersion } from '../core/tool-version.ts'

/** Types of columns: their bytes on disk are those in memory. */
const columnTypes = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f64: Float64Array } as const
type ColumnTypes = typeof columnTypes

/** What is derived from a document, and how it is kept. */
export interface DerivedForm<Schema extends Record<string, keyof ColumnTypes>> {
  /** a folder below `derived/`: `deb-packages` */
  kind: string
  /** to be increased with every change of the columns or of how they are made */
  version: number
  columns: Schema
}

/** Columns by their names. Texts are bytes in a `u8` column and their positions in a `u32` column. */
export type Columns<Schema extends Record<string, keyof ColumnTypes>> = {
  readonly [Name in keyof Schema]: InstanceType<ColumnTypes[Schema[Name]]>
}

/** What a document is known by: its digest, and whatever else the derived content depends on, as a text. */
export interface DerivedSource {
  digest: Digest
  variant?: string
}

/**
 * Returns what `make` derives from a document, from the cache's folder where it was derived before. The file names the document, the form
 * and the version of this program, and ends with its own SHA-256: one that is damaged, cut off or of another version is made again.
 * It is trusted as the folder is: the caller of `LayoutStore.open` checks that no other user can write there. A file that cannot be read
 * or written costs time, never the result. Throws what `make` throws.
 */
export async function derived<const Schema extends Record<string, keyof ColumnTypes>>(
  { folder }: { folder: string },
  source: DerivedSource,
  { form, make }: { form: DerivedForm<Schema>; make: () => Promise<Columns<Schema>> },
): Promise<Columns<Schema>> {
  const path = pathOf(folder, source, form)
  const header = headerOf(source, form)
  const known = await read(path, { header, columns: form.columns }).catch(() => undefined)
  if (known !== undefined) return known
  const made = await make()
  await write(path, { header, parts: Object.keys(form.columns).map(name => made[name]!) }).catch(
    () => undefined,
  )
  return made
}

function pathOf(folder: string, { digest, variant }: DerivedSource, { kind }: { kind: string }): string {
  const name = variant === undefined ? digest : digestOf(`${digest} ${variant}`)
  return join(folder, 'derived', kind, hexOf(name))
}

/** Everything that has to be the same for the file to be used; the lengths of the columns follow it. */
function headerOf(
  { digest, variant = '' }: DerivedSource,
  { kind, version, columns }: DerivedForm<Record<string, keyof ColumnTypes>>,
): string {
  const layout = Object.entries(columns)
  return canonicalJson({ kind, version, layout, digest, variant, toolVersion, endianness: endianness() })
}

/** Columns of every type can start here. */
const alignment = 8 /* bytes */
const digestLength = 32 /* bytes */

const aligned = (at: number) => Math.ceil(at / alignment) * alignment

/**
 * The file: length of the header (u32), number of columns (u32), length of each column in bytes (f64), the header, the columns, each
 * aligned, SHA-256 of all this.
 */
async function write(
  path: string,
  {
    header,
    parts,
  }: { header: string; parts: readonly (Uint8Array | Uint16Array | Uint32Array | Float64Array)[] },
): Promise<void> {
  const text = Buffer.from(header)
  const lengths = new Float64Array(parts.map(part => part.byteLength))
  const pieces = [new Uint32Array([text.length, parts.length]), lengths, text, ...parts].flatMap(part => {
    const bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength)
    return [bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]
  })
  const hasher = new Hasher()
  for (const piece of pieces) hasher.update(piece)
  pieces.push(Buffer.from(hexOf(hasher.digest()), 'hex'))
  await mkdir(dirname(path), { recursive: true })
  const temporary = temporaryPathOf(path)
  try {
    const handle = await open(temporary, 'wx')
    try {
      // not synced: what a power failure leaves behind has another checksum
      for (const piece of pieces) await handle.writeFile(piece)
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function read<Schema extends Record<string, keyof ColumnTypes>>(
  path: string,
  { header, columns }: { header: string; columns: Schema },
): Promise<Columns<Schema> | undefined> {
  const bytes = await contentOf(path)
  const end = bytes.length - digestLength
  const names = Object.entries(columns)
  const start = 8 + 8 * names.length
  if (end < start || end % alignment !== 0) return undefined
  const hasher = new Hasher()
  hasher.update(bytes.subarray(0, end))
  if (hexOf(hasher.digest()) !== bytes.toString('hex', end)) return undefined
  const [headerLength, count] = new Uint32Array(bytes.buffer, 0, 2)
  if (count !== names.length || bytes.toString('utf8', start, start + headerLength!) !== header)
    return undefined
  const lengths = new Float64Array(bytes.buffer, 8, count)
  let at = start + aligned(headerLength!)
  const found: Record<string, InstanceType<ColumnTypes[keyof ColumnTypes]>> = {}
  for (const [i, [name, type]] of names.entries()) {
    const Column = columnTypes[type]
    found[name] = new Column(bytes.buffer, at, lengths[i]! / Column.BYTES_PER_ELEMENT)
    at += aligned(lengths[i]!)
  }
  return at === end ? (found as Columns<Schema>) : undefined
}

/** In memory of its own: columns are views of it. */
async function contentOf(path: string): Promise<Buffer<ArrayBuffer>> {
  await using handle = await open(path, 'r')
  const { size } = await handle.stat()
  const bytes = Buffer.from(new ArrayBuffer(size))
  let at = 0
  while (at < size) {
    const { bytesRead } = await handle.read(bytes, at, size - at, at)
    if (bytesRead === 0) break
    at += bytesRead
  }
  return bytes
}
