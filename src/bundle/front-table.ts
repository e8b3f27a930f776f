import { z } from 'zod'
import { canonicalJson } from '../core/canonical-json.ts'
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

type Row =
  | [path: string, size: number]
  | [path: string, size: number, special: { link: string } | { mode: number }]

export function encodeFrontTable(table: FrontTable): Buffer {
  const entries = table.entries.map<Row>(entry => {
    if (entry.target !== undefined) return [entry.path, 0, { link: entry.target }]
    return entry.mode === 0o644 ? [entry.path, entry.size] : [entry.path, entry.size, { mode: entry.mode }]
  })
  return Buffer.from(canonicalJson({ format: bundleFormat, index: table.index, entries }))
}

const size = z.number().int().nonnegative()
const schema = z.strictObject({
  format: z.literal(bundleFormat),
  index: z.string().refine(isDigest),
  entries: z.array(
    z.union([
      z.tuple([z.string(), size]),
      z.tuple([z.string(), z.literal(0), z.strictObject({ link: z.string() })]),
      z.tuple([z.string(), size, z.strictObject({ mode: z.number().int().nonnegative().max(0o777) })]),
    ]),
  ),
})

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
  const files = new Map<string, UnplacedEntry>()
  const entries = parsed.data.entries.map<UnplacedEntry>(([path, size, special]) => {
    safeRelativePath(path)
    if (files.has(path)) throw refuse(`${path} stands there twice`)
    const entry = rowEntry(path, size, special, files)
    if (entry === undefined || !isEncodable(entry)) throw refuse(`the row of ${path} cannot be`)
    files.set(path, entry)
    return entry
  })
  const table = { index: parsed.data.index as Digest, entries }
  if (!encodeFrontTable(table).equals(bytes)) throw refuse('it is not spelled as airgap spells it')
  nameContent(entries, files)
  return table
}

function rowEntry(
  path: string,
  size: number,
  special: { link: string } | { mode: number } | undefined,
  files: Map<string, UnplacedEntry>,
): UnplacedEntry | undefined {
  const digest = digestOfPath(path)
  if (digest === undefined && reservedPath.test(path)) return undefined
  const shared = { path, size, ...(digest === undefined ? {} : { digest }) }
  if (special === undefined) return { ...shared, type: 'file', mode: 0o644 }
  if ('mode' in special) return { ...shared, type: 'file', mode: special.mode }
  const target = files.get(special.link)
  if (target === undefined || target.type !== 'file') return undefined
  return { ...shared, type: 'link', mode: target.mode, target: target.path }
}

/** A file under another name than its blob's has the digest of the blob that links to it. */
function nameContent(entries: UnplacedEntry[], files: Map<string, UnplacedEntry>): void {
  for (const entry of entries) {
    if (entry.type !== 'link' || entry.digest === undefined) continue
    const target = files.get(entry.target!)!
    target.digest ??= entry.digest
  }
}
