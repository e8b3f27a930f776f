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
} from './guarded-file.ts'
import { diffText } from './text-diff.ts'
import { maxValuesSize } from './values.ts'
import type { ValuesEdit } from './values-edit.ts'

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
}

/** Reads the file and says what would change. Throws VALUES_INVALID, FILE_NOT_FOUND, PERMISSION. Writes nothing. */
export async function planValues(path: string, edit: ValuesEdit): Promise<ValuesPlan> {
  const { text } = await readExisting(path)
  const after = edit.apply(text, path)
  return {
    path,
    backup: backupPathOf(path),
    before: text,
    beforeDigest: digestOf(text),
    after,
    diff: diffText(text, after),
  }
}

/**
 * Carries the plan out: first the backup (the first original is kept for ever), then the file, atomically, with its mode and
 * owner. Throws VALUES_CHANGED with the difference where the file is not the one that was planned for.
 */
export async function applyValues(plan: ValuesPlan): Promise<'changed' | 'unchanged'> {
  const found = await readExisting(plan.path)
  if (digestOf(found.text) !== plan.beforeDigest) throw changedMeanwhile(plan, found.text)
  if (plan.after === plan.before) return 'unchanged'
  await keepBackup(plan.backup, found)
  await replaceGuarded(plan.path, plan.after, found)
  return 'changed'
}

/**
 * Puts the backup back, byte for byte, and removes it. Throws VALUES_CHANGED where somebody edited the file after us: their
 * work would be lost. No backup: nothing to do.
 */
export async function rollbackValues(path: string, edit: ValuesEdit): Promise<'restored' | 'no backup'> {
  const backup = backupPathOf(path)
  const original = await readText(backup)
  if (original === undefined) return 'no backup'
  const current = await readExisting(path)
  const written = edit.as(current.text, path).apply(original.text, backup)
  if (current.text !== written && current.text !== original.text) {
    throw new AirgapError(
      'VALUES_CHANGED',
      `edited since it was configured:\n${diffText(written, current.text)}`,
      {
        item: path,
        next: `set back by hand what offline-deploy had set; the original is ${backup}`,
      },
    )
  }
  if (current.text !== original.text) await replaceGuarded(path, original.bytes, current)
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
