import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { errnoOf, fromSystemError } from '../core/errors.ts'

/** What was laid down: path → `mode digest`. */
export interface LayDownRecord {
  files: Record<string, string>
  /**
   * Files that have not been brought together with what was laid down last: the version that they come from, or `unknownBase`.
   * It stays their base until what is new since is in them.
   */
  behind: Record<string, string>
}

export const unknownBase = 'unknown'

/** Where it is remembered what was laid down as DEPLOY/NAME: beside the folder. */
export function layDownRecordOf(deploy: string, name: string): string {
  return join(deploy, `.${name}.airgap.json`)
}

/** Versions of the files that can be merged, by digest. */
export function basesOf(record: string): string {
  return record.replace(/\.json$/, '.bases')
}

/** What the step configure set in a file of the tree (values/record.ts). */
export function valuesRecordOf(record: string, path: string): string {
  return join(record.replace(/\.json$/, '.set'), `${path}.json`)
}

const schema = z.object({
  files: z.record(z.string(), z.string()),
  behind: z.record(z.string(), z.string()).default({}),
})

/** An unreadable record is as none: then every file that differs counts as changed by people, and is kept. */
export async function readLayDownRecord(path: string): Promise<LayDownRecord> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return emptyRecord()
    throw fromSystemError(error, path)
  }
  try {
    const { files, behind } = schema.parse(JSON.parse(text))
    const record = emptyRecord()
    Object.assign(record.files, files)
    Object.assign(record.behind, behind)
    return record
  } catch {
    return emptyRecord()
  }
}

/** Paths may be any names, `__proto__`, too. */
export function emptyRecord(): LayDownRecord {
  return { files: Object.create(null), behind: Object.create(null) }
}

export async function writeLayDownRecord(path: string, record: LayDownRecord): Promise<void> {
  await writeAtomically(path, canonicalJson(record))
}
