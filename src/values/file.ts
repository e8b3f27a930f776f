import { dirname } from 'node:path'
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
import { diffLines, diffText } from './diff-text.ts'
import { readValuesRecord, removeValuesRecord, writeValuesRecord } from './record.ts'
import { isUnedited, reviseValues, underWay, type ValuesRecord, writtenTexts } from './revise.ts'
import { currentSettings, type Settings } from './set.ts'
import { maxValuesSize } from './tree.ts'

/** The change of a values file: planned once, shown, then applied as shown or refused. */
export interface ValuesPlan {
  path: string
  backup: string
  /** the file when the plan was made */
  before: string
  beforeDigest: Digest
  after: string
  /** changed lines, secrets masked; empty if nothing changes */
  diff: string
  /** where our settings are recorded: the record now (undefined if there is none) and after the change */
  record: { path: string; known: ValuesRecord | undefined; next: ValuesRecord }
}

export interface ValuesOptions {
  settings: Settings
  /** path of the record */
  record: string
}

/**
 * Plans the change and writes nothing. `laidDown` are the versions that the tree itself has. Throws VALUES_INVALID, FILE_NOT_FOUND,
 * PERMISSION, JOURNAL_INVALID.
 */
export async function planValues(
  path: string,
  options: ValuesOptions & { laidDown?: readonly Digest[] },
): Promise<ValuesPlan> {
  const { settings, laidDown = [] } = options
  const backup = backupPathOf(path)
  const { text } = await readExisting(path)
  const known = await readValuesRecord(options.record)
  const untouched = laidDown.includes(digestOf(text))
  const record = known ?? (untouched ? undefined : await recordOfBackup(path, { settings, text }))
  const { after, record: next } = reviseValues(text, {
    settings,
    record,
    untouched,
    name: path,
    backup,
  })
  return {
    record: { path: options.record, known, next },
    path,
    backup,
    before: text,
    beforeDigest: digestOf(text),
    after,
    diff: diffText(text, after),
  }
}

/** Whether the file has the settings, and they are recorded. */
export function isApplied({ before, after, record }: ValuesPlan): boolean {
  return before === after && record.known !== undefined
}

/** An older offline-deploy kept the original and no record; it set the same keys. */
async function recordOfBackup(
  path: string,
  { settings, text }: { settings: Settings; text: string },
): Promise<ValuesRecord | undefined> {
  const backup = await readText(backupPathOf(path))
  return backup && { before: backup.text, sets: [currentSettings(text, settings, path)] }
}

/**
 * Applies the plan: first the backup (the first original is kept for good), then the record with the old and the new settings, then
 * the file, atomically, with its mode and owner, and last the record with the new settings alone: whatever a killed run leaves,
 * the record knows it. Throws VALUES_CHANGED with the difference if the file has changed since it was planned.
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
 * Restores the backup, byte for byte, and removes it and the record; does nothing without a backup. Throws VALUES_CHANGED where
 * people have edited the file since: their work would be lost.
 */
export async function rollbackValues(
  path: string,
  { settings, record }: ValuesOptions,
): Promise<'restored' | 'no backup'> {
  const backup = backupPathOf(path)
  const original = await readText(backup)
  if (original === undefined) {
    await removeValuesRecord(record)
    return 'no backup'
  }
  const current = await readExisting(path)
  const known = (await readValuesRecord(record)) ?? {
    before: original.text,
    sets: [currentSettings(current.text, settings, path)],
  }
  const from = { before: original.text, name: backup }
  if (current.text !== original.text && !isUnedited(current.text, { record: known, ...from })) {
    const written = writtenTexts(known, from)
    throw new AirgapError(
      'VALUES_CHANGED',
      ['edited since it was configured:', ...diffLines(written.at(-1) ?? original.text, current.text)],
      {
        item: path,
        next: `undo the settings of offline-deploy by hand; the original is ${backup}`,
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
    likely: 'another environment name, or the deployment tree has not been laid down yet',
    next: `ls ${dirname(dirname(path))} shows the environments; choose one with --env`,
  })
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw notRegular(path, 'not UTF-8 text', error)
  }
}

function changedMeanwhile(plan: ValuesPlan, now: string): AirgapError {
  return new AirgapError(
    'VALUES_CHANGED',
    ['edited since the plan was made:', ...diffLines(plan.before, now)],
    {
      item: plan.path,
      likely: 'somebody is editing the same file',
      next: 'run the same command again: it plans from the present file',
    },
  )
}
