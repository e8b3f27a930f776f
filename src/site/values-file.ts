import { isDeepStrictEqual } from 'node:util'
import { type Digest, digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import {
  backupPathOf,
  type GuardedFile,
  keepBackup,
  notRegular,
  readGuarded,
  removeGuarded,
  replaceGuarded,
} from '../core/guarded-file.ts'
import { diffText } from './text-diff.ts'
import { maxValuesSize } from './values.ts'
import type { ValuesEdit } from './values-edit.ts'
import {
  readValuesRecord,
  removeValuesRecord,
  reviseValues,
  underWay,
  type ValuesRecord,
  writeValuesRecord,
  writtenTexts,
} from './values-record.ts'

/** What applying will do to a values file; made once, shown, then carried out or refused. */
export interface ValuesPlan {
  path: string
  backup: string
  /** the file as the plan saw it */
  before: string
  beforeDigest: Digest
  after: string
  /** changed lines, secrets masked; empty where nothing changes */
  diff: string
  /** what we set there, where it is remembered: as it is (undefined where nothing is yet), as it will be */
  record: { path: string; known: ValuesRecord | undefined; next: ValuesRecord }
}

export interface ValuesOptions {
  edit: ValuesEdit
  /** where what is set is remembered */
  record: string
}

/**
 * Reads the file and says what would change; `laidDown` are versions that the tree itself has. Throws VALUES_INVALID,
 * FILE_NOT_FOUND, PERMISSION, JOURNAL_INVALID. Writes nothing.
 */
export async function planValues(
  path: string,
  options: ValuesOptions & { laidDown?: readonly Digest[] },
): Promise<ValuesPlan> {
  const { edit, laidDown = [] } = options
  const { text } = await readExisting(path)
  const known = await readValuesRecord(options.record)
  const untouched = laidDown.includes(digestOf(text))
  const record = known ?? (untouched ? undefined : await recordOfBackup(path, { edit, text }))
  const { after, record: next } = reviseValues(text, { edit, record, untouched, name: path })
  return {
    record: { path: options.record, known, next },
    path,
    backup: backupPathOf(path),
    before: text,
    beforeDigest: digestOf(text),
    after,
    diff: diffText(text, after),
  }
}

/** Whether the file is as it has to be, and remembered. */
export function isApplied({ before, after, record }: ValuesPlan): boolean {
  return before === after && record.known !== undefined
}

/** An older offline-deploy kept the original and no record: what it set are the keys of today. */
async function recordOfBackup(
  path: string,
  { edit, text }: { edit: ValuesEdit; text: string },
): Promise<ValuesRecord | undefined> {
  const backup = await readText(backupPathOf(path))
  return backup && { before: backup.text, sets: [edit.as(text, path).data] }
}

/**
 * Carries the plan out: first the backup (the first original is kept for ever), then the record, which knows the file as it was
 * and as it will be, then the file, atomically, with its mode and owner; the old state is forgotten last. Throws VALUES_CHANGED
 * with the difference where the file is not the one that was planned for.
 */
export async function applyValues(plan: ValuesPlan): Promise<'changed' | 'unchanged'> {
  const found = await readExisting(plan.path)
  if (digestOf(found.text) !== plan.beforeDigest) throw changedMeanwhile(plan, found.text)
  const { path: record, known, next } = plan.record
  const changes = plan.after !== plan.before
  if (changes) {
    await keepBackup(plan.backup, found)
    await writeValuesRecord(record, underWay(known, next))
    await replaceGuarded(plan.path, plan.after, found)
  }
  if (changes || !isDeepStrictEqual(known, next)) await writeValuesRecord(record, next)
  return changes ? 'changed' : 'unchanged'
}

/**
 * Puts the backup back, byte for byte, and removes it and the record. Throws VALUES_CHANGED where somebody edited the file after
 * us: their work would be lost. No backup: nothing to do.
 */
export async function rollbackValues(
  path: string,
  { edit, record }: ValuesOptions,
): Promise<'restored' | 'no backup'> {
  const backup = backupPathOf(path)
  const original = await readText(backup)
  if (original === undefined) {
    await removeValuesRecord(record)
    return 'no backup'
  }
  const current = await readExisting(path)
  const { sets } = (await readValuesRecord(record)) ?? { sets: [edit.as(current.text, path).data] }
  const written = writtenTexts({ sets }, { before: original.text, name: backup })
  if (![...written, original.text].includes(current.text)) {
    throw new AirgapError(
      'VALUES_CHANGED',
      `edited since it was configured:\n${diffText(written.at(-1) ?? original.text, current.text)}`,
      {
        item: path,
        next: `set back by hand what offline-deploy had set; the original is ${backup}`,
      },
    )
  }
  if (current.text !== original.text) await replaceGuarded(path, original.bytes, current)
  await removeValuesRecord(record)
  await removeGuarded(backup)
  return 'restored'
}

interface ValuesText extends GuardedFile {
  text: string
}

async function readText(path: string): Promise<ValuesText | undefined> {
  const file = await readGuarded(path, maxValuesSize)
  return file === undefined ? undefined : { ...file, text: decode(file.bytes, path) }
}

async function readExisting(path: string): Promise<ValuesText> {
  const file = await readText(path)
  if (file !== undefined) return file
  throw new AirgapError('FILE_NOT_FOUND', 'no such values file', {
    item: path,
    likely: 'another environment name, or the deployment tree was not laid down yet',
    next: 'check --env',
  })
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw notRegular(path, 'the file is not UTF-8 text', error)
  }
}

function changedMeanwhile(plan: ValuesPlan, now: string): AirgapError {
  const diff = diffText(plan.before, now) || '(only line ends or the end of the file)'
  return new AirgapError('VALUES_CHANGED', `edited since the plan was made:\n${diff}`, {
    item: plan.path,
    likely: 'somebody works on the same file',
    next: 'agree with them, then run the same command again: it plans from the file as it is',
  })
}
