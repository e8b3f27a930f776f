import { z } from 'zod'
import { defined } from '../core/defined.ts'
import { type Digest, isDigest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { safeRelativePath } from '../core/safe-path.ts'
import { digestOfPath, type UnplacedEntry } from './entry.ts'
import { isEncodable } from './tar-header.ts'

/**
 * `airgap.json`, the table at the front of a bundle: path and size of every entry after it, in order. All offsets are a prefix sum,
 * and opening a bundle takes a few reads. It also pins index.json, which no other digest covers.
 *
 * The table is untrusted, and a second description of what the tar headers say. Two readers that disagree about an archive are an attack:
 * one verifies what the other never uses (CVE-2013-4787, Android's "Master Key": the first of two entries of one name was checked, the
 * last one installed). The checks of `decodeFrontTable` leave one reading only:
 * - One spelling: the text must be what `encodeFrontTable` writes. JSON parsers disagree on duplicate keys, so that a second `index`
 *   could pin another index.json for another reader.
 * - Order is position: a row has no offset. Overlapping or unlisted content cannot be expressed.
 * - Each path once, and none of the bundle's own names: `tar xf` keeps the last of two entries, a reader by name the first.
 * - A link refers to an earlier file: to a later one, or to another link, it would be one thing for `tar` and another here.
 * The reader compares the tar header with the row before it uses a blob.
 */
export interface FrontTable {
  /** digest of index.json */
  index: Digest
  entries: UnplacedEntry[]
}

/** Version of the bundle format that this code reads and writes. */
export const bundleFormat = 1

/** Names that the bundle itself uses; no other content may have them. */
export const reservedPath = /^(oci-layout|index\.json|airgap\.json|blobs)(\/|$)/

/** A file of mode 0644 has two members; a third holds what is special. */
type Row =
  | [path: string, size: number]
  | [path: string, size: number, special: { link: string } | { mode: number }]

export function encodeFrontTable({ index, entries }: FrontTable): Buffer {
  const rows = entries.map<Row>(({ path, size, mode, target }) => {
    if (target !== undefined) return [path, 0, { link: target }]
    return mode === 0o644 ? [path, size] : [path, size, { mode }]
  })
  // this is canonical JSON: keys in order, one key in each object inside; canonicalJson would be slow for a million rows
  return Buffer.from(JSON.stringify({ entries: rows, format: bundleFormat, index }))
}

const schema = z.strictObject({
  entries: z.array(z.unknown()),
  format: z.literal(bundleFormat),
  index: z.string().refine(isDigest),
})
const linkSchema = z.strictObject({ link: z.string() })
const modeSchema = z.strictObject({ mode: z.number().int().nonnegative().max(0o777) })

/** Parses the table. Throws BUNDLE_CORRUPT for every text that `encodeFrontTable` does not write. */
export function decodeFrontTable(bytes: Uint8Array, item: string): FrontTable {
  const refuse = (what: string, cause?: unknown) =>
    new AirgapError('BUNDLE_CORRUPT', `the front table (airgap.json) is damaged: ${what}`, {
      item,
      likely: 'the file was damaged while it was copied',
      next: 'copy the bundle again',
      cause,
    })
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch (error) {
    throw refuse('it is not JSON', error)
  }
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw refuse('its structure is wrong', parsed.error)
  const known = new Map<string, UnplacedEntry>()
  const entries = parsed.data.entries.map<UnplacedEntry>((row, i) => {
    const entry = decodeRow(row, known)
    if (entry === undefined || !isEncodable(entry)) throw refuse(`row ${i + 1} is invalid`)
    if (known.has(entry.path)) throw refuse(`it lists ${entry.path} twice`)
    known.set(entry.path, entry)
    return entry
  })
  const table = { index: parsed.data.index as Digest, entries }
  if (!encodeFrontTable(table).equals(bytes)) throw refuse('it is not in canonical form')
  return table
}

/** Checked by hand, not by a schema: a bundle with a million rows must open in a second. */
function decodeRow(row: unknown, known: Map<string, UnplacedEntry>): UnplacedEntry | undefined {
  if (!Array.isArray(row)) return undefined
  const [path, size, special]: unknown[] = row
  if (typeof path !== 'string' || typeof size !== 'number') return undefined
  const digest = digestOfPath(path)
  if (digest === undefined) {
    if (reservedPath.test(path)) return undefined
    safeRelativePath(path)
  }
  const shared = digest === undefined ? { path, size } : { path, size, digest }
  if (special === undefined) return { ...shared, type: 'file', mode: 0o644 }
  const withMode = modeSchema.safeParse(special)
  if (withMode.success) return { ...shared, type: 'file', mode: withMode.data.mode }
  const link = linkSchema.safeParse(special)
  const target = link.success ? known.get(link.data.link) : undefined
  if (target?.type !== 'file') return undefined
  // a file under another name has the digest of the blob that links to it, and so have its other names
  if (digest !== undefined) target.digest ??= digest
  return {
    ...shared,
    type: 'link',
    mode: target.mode,
    target: target.path,
    ...defined({ digest: target.digest === undefined ? undefined : (digest ?? target.digest) }),
  }
}
