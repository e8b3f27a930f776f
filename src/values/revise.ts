import { isDeepStrictEqual } from 'node:util'
import { defined } from '../core/defined.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { mergeValues } from './merge.ts'
import { type Settings, setValues } from './set.ts'
import { readValuesTree } from './tree.ts'

/** What we set in a values file, and the file without it. */
export interface ValuesRecord {
  /** the file without our settings: a key that is no longer set gets its text back from here */
  before: string
  /** what was set; while the file is being changed there are several, one of which it has */
  sets: Settings[]
  /**
   * digests of the texts that were written: another version of this program may write the same settings with other line breaks.
   * Undefined in a record that has none, for which `isUnedited` compares the values
   */
  written?: Digest[] | undefined
}

/** The record before the file is changed: whichever text a killed run leaves, it is known. */
export function underWay(known: ValuesRecord | undefined, next: ValuesRecord): ValuesRecord {
  const old = (known?.sets ?? []).filter(set => !next.sets.some(one => isDeepStrictEqual(one, set)))
  const earlier = known?.before === next.before ? (known.written ?? []) : []
  const unrecorded = known !== undefined && known.written === undefined
  const written = unrecorded ? undefined : [...earlier, ...(next.written ?? [])]
  return { before: next.before, sets: [...old, ...next.sets], ...defined({ written }) }
}

/** The texts that `before` became with what was set. */
export function writtenTexts(
  { sets }: Pick<ValuesRecord, 'sets'>,
  { before, name }: { before: string; name: string },
): string[] {
  return sets.map(set => setValues(before, set, name))
}

/** Whether the text is `before` with recorded settings in it, as this or an older version of this program wrote it. */
export function isUnedited(
  text: string,
  { record, before, name }: { record: ValuesRecord; before: string; name: string },
): boolean {
  const written = writtenTexts(record, { before, name })
  if (written.includes(text)) return true
  if (record.written !== undefined) return record.before === before && record.written.includes(digestOf(text))
  // earlier versions added lines behind trailing blank lines and comments, and left a last line without its line end
  const own = new Set(linesOf(before))
  const parts = (one: string) => [
    linesOf(one).filter(line => own.has(line)),
    linesOf(one).filter(line => !own.has(line)),
  ]
  const found = parts(text)
  const alike = written.filter(one => isDeepStrictEqual(parts(one), found))
  if (alike.length === 0) return false
  const valuesOf = (one: string) => readValuesTree(one, { name, whose: 'the values file' }).value
  const values = valuesOf(text)
  return alike.some(one => isDeepStrictEqual(valuesOf(one), values))
}

/** The lines that are not blank, without blanks at their ends. */
function linesOf(text: string): string[] {
  return text.split('\n').flatMap(line => line.trimEnd() || [])
}

export interface ReviseOptions {
  settings: Settings
  record: ValuesRecord | undefined
  /** the text has just been laid down: it has no settings of ours */
  untouched: boolean
  name: string
  /** names the file to restore from, in case the text is damaged */
  backup: string
}

/**
 * Returns the text with the settings, and what to record. A key that is no longer set gets its previous value back; where people have
 * changed the value since, theirs stays. Throws VALUES_INVALID, also where a key cannot be put back without changing another
 * one, and where the text is what is left of a damaged file.
 */
export function reviseValues(text: string, options: ReviseOptions): { after: string; record: ValuesRecord } {
  const { settings, record, name } = options
  const revised = (before: string) => {
    const after = setValues(before, settings, name)
    return { after, record: { before, sets: [settings], written: [digestOf(after)] } }
  }
  if (record === undefined) return revised(text)
  const written = writtenTexts(record, { before: record.before, name })
  if (text === record.before || written.includes(text)) return revised(record.before)
  if (isUnedited(text, { record, before: record.before, name }))
    return isDeepStrictEqual(record.sets, [settings]) ? { after: text, record } : revised(record.before)
  if (options.untouched) return revised(text)
  refuseDamaged(text, { known: [record.before, ...written], name, backup: options.backup })
  const wanted = setValues(record.before, settings, name)
  let after = text
  for (const [i, base] of written.entries())
    if (!isDeepStrictEqual(record.sets[i], settings))
      after = putBack({ base, ours: wanted, theirs: after, name })
  const before = withoutSettings(text, { before: record.before, written, name })
  return { after: setValues(after, settings, name), record: { before, sets: [settings] } }
}

/** What people wrote, without our settings; `before` where that cannot be determined. */
function withoutSettings(
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
  return mergeValues({ ...versions, prefer: 'theirs' }).text
}

/**
 * Throws VALUES_INVALID where an editor on a full disk or a power cut damaged the file: it is empty although a known version had
 * values, it ends in the middle of a line of one, or it has zero bytes. A merge would take everything missing for removed on purpose.
 */
export function refuseDamaged(
  text: string,
  { known, name, backup }: { known: readonly string[]; name: string; backup: string },
): void {
  const damage = known.includes(text) ? undefined : damageOf(text, known)
  if (damage === undefined) return
  const { what, unless } = damage
  throw new AirgapError('VALUES_INVALID', `the values file ${what}`, {
    item: name,
    likely: 'an editor on a full disk or a power cut damaged it',
    next: `restore it from a copy of your own or from ${backup}${unless}`,
  })
}

function damageOf(text: string, known: readonly string[]): { what: string; unless: string } | undefined {
  if (text.includes('\0')) return { what: 'has zero bytes', unless: '' }
  if (isBlank(text) && known.some(one => !isBlank(one)))
    return { what: 'is empty', unless: '; if it is meant to be, write a comment into it' }
  if (!text.endsWith('\n') && known.some(one => one.startsWith(text) && !isBlank(one.slice(text.length))))
    return { what: 'is cut off at its end', unless: '; if it is meant to be, end its last line' }
  return undefined
}

export function isBlank(text: string): boolean {
  return /^[\s\uFEFF]*$/.test(text)
}
