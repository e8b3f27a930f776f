import { lstat, readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { errnoOf, fromSystemError } from '../core/errors.ts'
import { backupPathOf } from '../core/guarded-file.ts'

/** What was laid down. */
export interface LayDownRecord {
  /** path → `mode digest` */
  files: Record<string, string>
  /**
   * Files that could not be merged with the version that was laid down last: the version that they come from, or
   * `unknownBase`. It stays their base until everything that is new since is in them.
   */
  behind: Record<string, string>
}

export const unknownBase = 'unknown'

/** Returns the path of the record of DEPLOY/NAME, beside the folder. */
export function layDownRecordOf(deploy: string, name: string): string {
  return join(deploy, `.${name}.airgap.json`)
}

/** Returns the folder with the versions of mergeable files, by digest. */
export function basesOf(record: string): string {
  return record.replace(/\.json$/, '.bases')
}

/** Returns the path of the record of what the step configure set in a file of the tree (values/record.ts). */
export function valuesRecordOf(record: string, path: string): string {
  return join(record.replace(/\.json$/, '.set'), `${path}.json`)
}

/**
 * The files below DEPLOY that the step configure changed, each with the path of its record: those with a record, and the values files
 * with a backup, which an older version of this program kept without one.
 */
export async function configuredFiles(deploy: string): Promise<{ path: string; record: string }[]> {
  const found: { path: string; record: string }[] = []
  for (const folder of await foldersIn(deploy)) {
    const name = /^\.(.+)\.airgap\.set$/.exec(folder)?.[1]
    const paths =
      name === undefined ? await unrecordedIn(join(deploy, folder)) : await recordedIn(join(deploy, folder))
    for (const path of paths) {
      const tree = name ?? folder
      found.push({
        path: join(deploy, tree, path),
        record: valuesRecordOf(layDownRecordOf(deploy, tree), path),
      })
    }
  }
  const unique = new Map(found.map(file => [file.path, file]))
  return [...unique.values()].sort((a, b) => compareText(a.path, b.path))
}

async function recordedIn(records: string): Promise<string[]> {
  const entries = await readdir(records, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile() && entry.name.endsWith('.json'))
    .map(entry => relative(records, join(entry.parentPath, entry.name)).slice(0, -'.json'.length))
}

async function unrecordedIn(tree: string): Promise<string[]> {
  const environments = await foldersIn(join(tree, 'environments'))
  const paths = environments.map(name => `environments/${name}/values.yaml`)
  const backups = await Promise.all(
    paths.map(path => lstat(backupPathOf(join(tree, path))).catch(() => undefined)),
  )
  return paths.filter((_, i) => backups[i] !== undefined)
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries.filter(entry => entry.isDirectory()).map(({ name }) => name)
}

const schema = z.object({
  files: z.record(z.string(), z.string()),
  behind: z.record(z.string(), z.string()).default({}),
})

/** Reads the record. An invalid one counts as none: every file that differs then counts as changed on the site, and is kept. */
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

/** Without a prototype: a path may be `__proto__`. */
export function emptyRecord(): LayDownRecord {
  return { files: Object.create(null), behind: Object.create(null) }
}

export async function writeLayDownRecord(path: string, record: LayDownRecord): Promise<void> {
  await writeAtomically(path, canonicalJson(record))
}
