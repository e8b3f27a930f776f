import { chmod, lstat, mkdir, open, readFile, readlink, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pLimit from 'p-limit'
import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import type { TreeEntries, TreeMode } from '../content/tree.ts'
import { compareText } from '../core/canonical-json.ts'
import { type Digest, digestOf, isDigest } from '../core/digest.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'
import { isSafeLink } from '../core/safe-path.ts'
import {
  basesOf,
  emptyRecord,
  type LayDownRecord,
  readLayDownRecord,
  unknownBase,
  valuesRecordOf,
  writeLayDownRecord,
} from './lay-down-record.ts'
import {
  followFile,
  isMergeable,
  keepBase,
  type MergedFile,
  type MergeOptions,
  mergeFile,
  readBase,
  wasMerged,
} from './merge-file.ts'

/**
 * The result of laying down a tree in a folder where people then work. Their changes are kept: those of values files are merged with
 * the new version (merge-file.ts); for any other file the new version is written beside it as NAME.airgap-new. A file that they did
 * not change follows the tree, and is removed when the tree no longer has it.
 */
export interface LaidDown {
  written: number
  unchanged: number
  /** files that were changed both on the site and in the tree; the site's version was kept */
  kept: string[]
  /** values files that were changed both on the site and in the tree: path → digest of the merged file */
  merged: Map<string, Digest>
  removed: number
}

export interface LayDownOptions {
  folder: string
  /** path of the record of what was laid down; beside the folder, not in it */
  record: string
  progress: Progress
  signal: AbortSignal
}

/** Deployment files are text: a larger one is a mistake. */
const maxFileSize = 256 << 20 /* bytes */
const writersAtOnce = 8

type Entry = { descriptor: { digest: Digest; size: number; mediaType: string }; mode: TreeMode }

/**
 * Lays down a tree, or updates an older one. Each file is written whole or not at all; nothing is written or removed through a
 * symbolic link, and the tree's own links stay inside it. Throws BUNDLE_CORRUPT, STEP_FAILED, PERMISSION, NO_SPACE.
 */
export async function layDown(
  store: ReadableStore,
  entries: TreeEntries,
  options: LayDownOptions,
): Promise<LaidDown> {
  const { folder, record, signal } = options
  checkTree(entries)
  await checkLinks(store, entries)
  const before = await readLayDownRecord(record)
  const result: LaidDown = { written: 0, unchanged: 0, kept: [], merged: new Map(), removed: 0 }
  const now = emptyRecord()
  const limit = pLimit(writersAtOnce)
  const folders = new Folders(folder)
  const byPath = [...entries].sort(([a], [b]) => compareText(a, b))
  await Promise.all(
    byPath.map(([path, entry]) =>
      limit(async () => {
        signal.throwIfAborted()
        await folders.make(dirname(path))
        now.files[path] = identity(entry)
        const { progress } = options
        const behind = await place(path, entry, { store, folder, record, before, result, progress })
        if (behind !== undefined) now.behind[path] = behind
      }),
    ),
  )
  for (const path of Object.keys(before.files).filter(path => !entries.has(path))) {
    signal.throwIfAborted()
    await removeOld(path, { folder, before: before.files[path] ?? '', result })
  }
  result.kept.sort(compareText)
  for (const path of result.kept)
    options.progress.note(
      `${join(folder, path)} was changed on this site and is kept; the new version is ${path}.airgap-new`,
    )
  // last: after a run that was killed before, the next one compares with the old record and does the rest
  await writeLayDownRecord(record, now)
  return result
}

/** Returns whether every file of the tree is in its place, changed or not. */
export async function isLaidDown(
  entries: TreeEntries,
  { folder, record }: Pick<LayDownOptions, 'folder' | 'record'>,
): Promise<boolean> {
  const { files } = await readLayDownRecord(record)
  for (const [path, entry] of entries) {
    if (files[path] !== identity(entry)) return false
    if ((await lstat(join(folder, path)).catch(() => undefined)) === undefined) return false
  }
  return true
}

function identity(entry: Entry): string {
  return `${entry.mode} ${entry.descriptor.digest}`
}

/** Places one file. Returns the version that it comes from where the new version could not be merged (`behind` of the record). */
async function place(
  path: string,
  entry: Entry,
  work: {
    store: ReadableStore
    folder: string
    record: string
    before: LayDownRecord
    result: LaidDown
    progress: Progress
  },
): Promise<string | undefined> {
  const { store, result, before, record } = work
  const target = join(work.folder, path)
  const found = await identityOf(target)
  const laid = before.files[path]
  const known = before.behind[path] ?? laid
  const theirs =
    entry.mode === '100644' && isMergeable(path, entry.descriptor.size)
      ? (await readAll(store, entry.descriptor)).toString('utf8')
      : undefined
  const merging = { bases: basesOf(record), record: valuesRecordOf(record, path) }
  if (theirs !== undefined) await keepBase(merging.bases, theirs)
  const isThere = found === identity(entry)
  // the file is as we laid it down: nobody's work is lost
  if (isThere || found === undefined || found === laid || found === known) {
    if (!isThere) await write(target, entry, store)
    result[isThere ? 'unchanged' : 'written']++
    if (theirs !== undefined && known !== identity(entry))
      await followFile(target, { ...merging, base: digestIn(known), theirs })
    return
  }
  const base = known === laid ? laid : await baseNow(target, { ...merging, known, laid })
  // changed on the site, and not in the tree
  if (base === identity(entry)) {
    result.unchanged++
    return
  }
  const merged = theirs && (await mergeFile(target, { ...merging, base: digestIn(base), theirs }))
  if (merged) {
    result.merged.set(path, merged.digest)
    reportMerge(target, merged, work.progress)
    return
  }
  if (laid === identity(entry)) result.unchanged++
  else {
    result.kept.push(path)
    await write(`${target}.airgap-new`, entry, store)
  }
  return isMergeable(path, 0) ? (base ?? unknownBase) : undefined
}

/** Returns the base of the file: the version that was laid down last, if somebody has merged it since; otherwise the older one. */
async function baseNow(
  target: string,
  options: Omit<MergeOptions, 'base' | 'theirs'> & { known: string | undefined; laid: string | undefined },
): Promise<string | undefined> {
  const { known, laid, ...merging } = options
  const last = digestIn(laid)
  const theirs = last && (await readBase(merging.bases, last))
  if (theirs === undefined) return known
  return (await wasMerged(target, { ...merging, base: digestIn(known), theirs })) ? laid : known
}

/** Returns the digest in `mode digest`. */
function digestIn(identity: string | undefined): Digest | undefined {
  const digest = identity?.split(' ')[1]
  return digest !== undefined && isDigest(digest) ? digest : undefined
}

function reportMerge(target: string, { kept, conflicts }: MergedFile, progress: Progress): void {
  progress.note(
    `${target}: new version with the changes of this site: ${kept.join(', ') || 'none that it does not have'}`,
  )
  for (const { path, ours, theirs } of conflicts)
    progress.note(`${target}: ${path}: kept the site’s ${ours}; the new version has ${theirs}`)
}

/** Returns `mode digest` of a file or link, or a word for anything else, which is never ours; undefined if there is nothing. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const found = await lstat(path)
    if (found.isSymbolicLink()) return `120000 ${digestOf(await readlink(path))}`
    if (!found.isFile()) return 'special'
    if (found.size > maxFileSize) return 'large'
    return `${(found.mode & 0o111) !== 0 ? '100755' : '100644'} ${digestOf(await readFile(path))}`
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  }
}

async function write(path: string, entry: Entry, store: ReadableStore): Promise<void> {
  // always the same name, as one apply runs at a time: the next run removes what a killed one left
  const temporary = `${path}.airgap-part`
  try {
    await rm(temporary, { force: true })
    if (entry.mode === '120000') {
      await symlink((await readAll(store, entry.descriptor, 1024)).toString('utf8'), temporary)
    } else {
      const mode = entry.mode === '100755' ? 0o755 : 0o644
      const handle = await open(temporary, 'wx', mode)
      try {
        const body = await store.open(entry.descriptor)
        for await (const chunk of body as AsyncIterable<Uint8Array>) await handle.writeFile(chunk)
        await handle.sync()
      } finally {
        await handle.close()
      }
      // whatever the umask is
      await chmod(temporary, mode)
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw fromSystemError(error, path)
  }
}

async function removeOld(
  path: string,
  { folder, before, result }: { folder: string; before: string; result: LaidDown },
): Promise<void> {
  const target = join(folder, path)
  if (!(await isInside(folder, path))) return
  if ((await identityOf(target)) !== before) return
  await rm(target)
  result.removed++
}

/** Returns whether all folders above the file are folders, and none is a link to somewhere else. */
async function isInside(folder: string, path: string): Promise<boolean> {
  for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
    const found = await lstat(join(folder, parent)).catch(() => undefined)
    if (!found?.isDirectory()) return false
  }
  return true
}

/** Creates folders, each once. Refuses a link in place of a folder: files would be written wherever it leads. */
class Folders {
  readonly #root: string
  readonly #made = new Map<string, Promise<void>>()

  constructor(root: string) {
    this.#root = root
  }

  make(path: string): Promise<void> {
    let making = this.#made.get(path)
    if (making === undefined) {
      making = this.#make(path)
      this.#made.set(path, making)
    }
    return making
  }

  async #make(path: string): Promise<void> {
    const full = path === '.' ? this.#root : join(this.#root, path)
    if (path !== '.') await this.make(dirname(path))
    try {
      await mkdir(full, { recursive: path === '.' })
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw fromSystemError(error, full)
    }
    if ((await lstat(full)).isDirectory()) return
    throw new AirgapError('STEP_FAILED', 'a file or a link is in place of a folder', {
      item: full,
      likely: 'it was created by hand',
      next: 'move it away, and run the same command again',
    })
  }
}

/** Refuses a tree in which a path is a file and a folder. */
function checkTree(entries: TreeEntries): void {
  for (const path of entries.keys()) {
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
      if (entries.has(parent)) throw malicious('a tree uses one path as a file and as a folder', parent)
    }
  }
}

/** Refuses a tree with a link that leads out of it. */
async function checkLinks(store: ReadableStore, entries: TreeEntries): Promise<void> {
  for (const [path, entry] of entries) {
    if (entry.mode !== '120000') continue
    const target = (await readAll(store, entry.descriptor, 1024)).toString('utf8')
    if (!isSafeLink({ path, target }))
      throw malicious('a symbolic link leads out of its tree', `${path} -> ${target.slice(0, 200)}`)
  }
}

function malicious(what: string, item: string): AirgapError {
  return new AirgapError('BUNDLE_CORRUPT', what, {
    item,
    likely: 'another program built the bundle, or it is malicious',
    next: 'do not use it; ask the person who built it',
  })
}
