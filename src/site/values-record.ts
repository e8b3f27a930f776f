import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { AirgapError, fromSystemError, isErrorCode } from '../core/errors.ts'
import { readGuarded, removeGuarded } from '../core/guarded-file.ts'
import { mergeValues } from './merge-values.ts'
import { maxValuesSize } from './values.ts'
import { type EditData, editOf, type ValuesEdit } from './values-edit.ts'

/** What we set in a values file, and what was there before. */
export interface ValuesRecord {
  /** the file without anything of ours: where a key is no longer set, its text comes back from here */
  before: string
  /** what was set; several while the file is being changed, which then has one of them */
  sets: EditData[]
}

const schema = z.strictObject({
  before: z.string(),
  sets: z
    .array(
      z.strictObject({
        offline: z.strictObject({ registry: z.string(), httpServer: z.string() }).optional(),
        values: z.string(),
      }),
    )
    .min(1),
})

/** The text of a file as JSON, and what was set. */
const maxRecordSize = 16 * maxValuesSize

/** Undefined where there is none. Throws JOURNAL_INVALID, PERMISSION, IO. */
export async function readValuesRecord(path: string): Promise<ValuesRecord | undefined> {
  const file = await readGuarded(path, maxRecordSize)
  if (file === undefined) return undefined
  try {
    return schema.parse(JSON.parse(file.bytes.toString('utf8')))
  } catch (error) {
    throw new AirgapError('JOURNAL_INVALID', 'the record of what was set in a values file cannot be read', {
      item: path,
      likely: 'a damaged disk, or the file was edited',
      next: 'move it away; what is no longer set then stays in the values file',
      cause: error,
    })
  }
}

/** For the owner alone: values files hold passwords. */
export async function writeValuesRecord(path: string, record: ValuesRecord): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  } catch (error) {
    throw fromSystemError(error, path)
  }
  await writeAtomically(path, canonicalJson(record), 0o600)
}

export async function removeValuesRecord(path: string): Promise<void> {
  if ((await readGuarded(path, Number.MAX_SAFE_INTEGER)) !== undefined) await removeGuarded(path)
}

/** The record before the file is changed: whichever text a killed run leaves, it is known. */
export function underWay(known: ValuesRecord | undefined, next: ValuesRecord): ValuesRecord {
  const old = (known?.sets ?? []).filter(set => !next.sets.some(one => isDeepStrictEqual(one, set)))
  return { before: next.before, sets: [...old, ...next.sets] }
}

/**
 * What the file is to be with `edit`, and what is to be remembered. A key that is no longer set gets back what was there before;
 * where people gave it another value since, theirs stays. `untouched`: nothing of ours can be in the file, as it was just laid
 * down. Throws VALUES_INVALID, also where a key cannot be put back without changing another.
 */
export function reviseValues(
  text: string,
  options: { edit: ValuesEdit; record: ValuesRecord | undefined; untouched: boolean; name: string },
): { after: string; record: ValuesRecord } {
  const { edit, record, name } = options
  const as = (before: string, after = edit.apply(before, name)) => ({
    after,
    record: { before, sets: [edit.data] },
  })
  if (record === undefined) return as(text)
  const written = writtenTexts(record, { before: record.before, name })
  if (text === record.before || written.includes(text)) return as(record.before)
  if (options.untouched) return as(text)
  const wanted = edit.apply(record.before, name)
  let after = text
  for (const [i, base] of written.entries())
    if (!isDeepStrictEqual(record.sets[i], edit.data))
      after = putBack({ base, ours: wanted, theirs: after, name })
  return as(withoutOurs(text, { before: record.before, written, name }), edit.apply(after, name))
}

/** The texts that `before` became with what was set. */
export function writtenTexts(
  { sets }: Pick<ValuesRecord, 'sets'>,
  { before, name }: { before: string; name: string },
): string[] {
  return sets.map(set => editOf(set).apply(before, name))
}

/** What people wrote, without our settings; as it was before where that cannot be told. */
function withoutOurs(
  text: string,
  { before, written, name }: { before: string; written: readonly string[]; name: string },
): string {
  try {
    return written.reduce((theirs, base) => putBack({ base, ours: before, theirs, name }), text)
  } catch (error) {
    if (isErrorCode(error, 'VALUES_INVALID')) return before
    throw error
  }
}

function putBack(versions: { base: string; ours: string; theirs: string; name: string }): string {
  return mergeValues({ ...versions, stands: 'theirs' }).text
}
