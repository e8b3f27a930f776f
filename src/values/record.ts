import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { type Digest, isDigest } from '../core/digest.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { readGuarded, removeGuarded } from '../core/guarded-file.ts'
import type { ValuesRecord } from './revise.ts'
import { maxValuesSize } from './tree.ts'

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
  written: z.array(z.custom<Digest>(one => typeof one === 'string' && isDigest(one))).optional(),
})

/** The text of a values file as JSON, and its settings. */
const maxRecordSize = 16 * maxValuesSize

/** Reads a record; undefined where there is none. Throws JOURNAL_INVALID, PERMISSION, IO. */
export async function readValuesRecord(path: string): Promise<ValuesRecord | undefined> {
  const file = await readGuarded(path, maxRecordSize)
  if (file === undefined) return undefined
  try {
    return schema.parse(JSON.parse(file.bytes.toString('utf8')))
  } catch (error) {
    throw new AirgapError('JOURNAL_INVALID', 'the record of what was set in a values file is unreadable', {
      item: path,
      likely: 'a damaged disk, or somebody edited the file',
      next: `mv ${path} ${path}.damaged and run the same command again; settings that site.yaml no longer has then stay in the values file`,
      cause: error,
    })
  }
}

/** Writes a record that only its owner can read: values files hold passwords. */
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
