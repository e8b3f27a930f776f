import { z } from 'zod'
import { type Digest, isDigest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { safeRelativePath } from '../core/safe-path.ts'
import { digestOfPath, type UnplacedEntry } from './entry.ts'
import { isEncodable } from './tar-header.ts'

/**
 * `airgap.json`, the table at the front of a bundle: path and size of every entry that follows it, in order, so that all
 * offsets come by a prefix sum and opening is a few reads. It also pins index.json, which no other digest covers.
 * It is untrusted: the tar header it points at is compared before a blob is used.
 */
export interface FrontTable {
  /** digest of index.json */
  index: Digest
  entries: UnplacedEntry[]
}

/** Version of the bundle format that this code reads and writes. */
export const bundleFormat = 1

/** Names that the bundle itself uses: nothing else may stand under them. */
export const reservedPath = /^(oci-layout|index\.json|airgap\.json|blobs)(\/|$)/

/** Plain rows for files of mode 0644, a third member for what is special. */
type Row =
  | [path: string, size: number]
  | [path: string, size: number, special: { link: string } | { mode: number }]

export function encodeFrontTable({ index, entries }: FrontTable): Buffer {
  const rows = entries.map<Row>(({ path, size, mode, target }) => {
    if (target !== undefined) return [path, 0, { link: target }]
    return mode === 0o644 ? [path, size] : [path, size, { mode }]
  })
  // canonical JSON as it stands: keys in order, one key in each object below; there may be very many rows
  return Buffer.from(JSON.stringify({ entries: rows, format: bundleFormat, index }))
}

const schema = z.strictObject({
  entries: z.array(z.unknown()),
  format: z.literal(bundleFormat),
  index: z.string().refine(isDigest),
})
const linkSchema = z.strictObject({ link: z.string() })
const modeSchema = z.strictObject({ mode: z.number().int().nonnegative().max(0o777) })

/** Throws BUNDLE_CORRUPT for every text that `encodeFrontTable` would not have made. */
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
    throw refuse('it is no JSON', error)
  }
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw refuse('it has another shape', parsed.error)
  const known = new Map<string, UnplacedEntry>()
  const entries = parsed.data.entries.map<UnplacedEntry>((row, i) => {
    const entry = decodeRow(row, known)
    if (entry === undefined || !isEncodable(entry)) throw refuse(`row ${i + 1} cannot be`)
    if (known.has(entry.path)) throw refuse(`${entry.path} stands there twice`)
    known.set(entry.path, entry)
    return entry
  })
  const table = { index: parsed.data.index as Digest, entries }
  if (!encodeFrontTable(table).equals(bytes)) throw refuse('it is not spelled as airgap spells it')
  return table
}

/** Checked by hand, not by schema: a bundle may have very many rows, and is to open at once. */
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
  const moded = modeSchema.safeParse(special)
  if (moded.success) return { ...shared, type: 'file', mode: moded.data.mode }
  const link = linkSchema.safeParse(special)
  const target = link.success ? known.get(link.data.link) : undefined
  if (target?.type !== 'file') return undefined
  // a file under another name than its blob's has the digest of the blob that links to it, and so have its further names
  if (digest !== undefined) target.digest ??= digest
  return {
    ...shared,
    type: 'link',
    mode: target.mode,
    target: target.path,
    ...(target.digest ? { digest: digest ?? target.digest } : {}),
  }
}
