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
 * A tree laid down in a folder where people then work. What they changed is kept: in values files it is brought together with what is
 * new (merge-file.ts); of any other file the new version is written beside it as NAME.airgap-new. What they did not touch follows the
 * tree, also where a file is gone from it.
 */
export interface LaidDown {
  written: number
  unchanged: number
  /** files that people changed and that the tree has in another version; theirs was kept */
  kept: string[]
  /** values files that people changed and that the tree has in another version: path → what is both */
  merged: Map<string, Digest>
  removed: number
}

export interface LayDownOptions {
  folder: string
  /** where what was laid down is remembered; beside the folder, not in it */
  record: string
  progress: Progress
  signal: AbortSignal
}

/** Deployment files are text; more is a mistake. */
const maxFileSize = 256 << 20 /* bytes */
const writersAtOnce = 8

type Entry = { descriptor: { digest: Digest; size: number; mediaType: string }; mode: TreeMode }

/**
 * Lays the tree down, or brings an older one up to date. Each file appears whole or not at all; nothing is written or removed
 * through a symbolic link, and the tree's own links stay inside it. Throws BUNDLE_CORRUPT, STEP_FAILED, PERMISSION, NO_SPACE.
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
      `${join(folder, path)} was changed here and is kept; the new version is ${path}.airgap-new`,
    )
  // last: a run that was killed before compares with the old record and does the rest
  await writeLayDownRecord(record, now)
  return result
}

/** Whether everything of the tree is in its place, changed by people or not. */
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

/** Gives the version that the file comes from where what is new could not be brought together with it (LayDownRecord). */
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
  // what lies there is what we laid down: nobody's work is lost
  if (isThere || found === undefined || found === laid || found === known) {
    if (!isThere) await write(target, entry, store)
    result[isThere ? 'unchanged' : 'written']++
    if (theirs !== undefined && known !== identity(entry))
      await followFile(target, { ...merging, base: digestIn(known), theirs })
    return
  }
  const base = known === laid ? laid : await baseNow(target, { ...merging, known, laid })
  // changed here, and not changed in the tree since: nothing new to tell
  if (base === identity(entry)) {
    result.unchanged++
    return
  }
  const merged = theirs && (await mergeFile(target, { ...merging, base: digestIn(base), theirs }))
  if (merged) {
    result.merged.set(path, merged.digest)
    tellMerged(target, merged, work.progress)
    return
  }
  if (laid === identity(entry)) result.unchanged++
  else {
    result.kept.push(path)
    await write(`${target}.airgap-new`, entry, store)
  }
  return isMergeable(path, 0) ? (base ?? unknownBase) : undefined
}

/** The version that was laid down last where somebody has brought it together with the file since; otherwise still the older one. */
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

/** The digest of `mode digest`. */
function digestIn(identity: string | undefined): Digest | undefined {
  const digest = identity?.split(' ')[1]
  return digest !== undefined && isDigest(digest) ? digest : undefined
}

function tellMerged(target: string, { kept, conflicts }: MergedFile, progress: Progress): void {
  progress.note(
    `${target}: new version, with what was changed here: ${kept.join(', ') || 'nothing that is not in it'}`,
  )
  for (const { path, ours, theirs } of conflicts)
    progress.note(`${target}: ${path}: the site’s ${ours} stands; the new version has ${theirs}`)
}

/** `mode digest` of what lies there; undefined where nothing does. Something else than a file or link is never ours. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const found = await lstat(path)
    if (found.isSymbolicLink()) return `120000 ${digestOf(await readlink(path))}`
    if (!found.isFile()) return 'something else'
    if (found.size > maxFileSize) return 'a large file'
    return `${(found.mode & 0o111) !== 0 ? '100755' : '100644'} ${digestOf(await readFile(path))}`
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  }
}

async function write(path: string, entry: Entry, store: ReadableStore): Promise<void> {
  // always the same name, as one apply runs at a time: what a killed one left is taken away by the next
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

/** No folder on the way is a link that leads elsewhere. */
async function isInside(folder: string, path: string): Promise<boolean> {
  for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
    const found = await lstat(join(folder, parent)).catch(() => undefined)
    if (!found?.isDirectory()) return false
  }
  return true
}

/** Makes folders, each once, and refuses to go through a link that stands in place of one. */
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
    throw new AirgapError('STEP_FAILED', 'something else stands in place of a folder', {
      item: full,
      likely: 'a symbolic link or a file that was put there by hand',
      next: 'move it away and run the same command again',
    })
  }
}

/** A tree in which a file is also a folder, or a link leaves the tree, is damaged or hostile. */
function checkTree(entries: TreeEntries): void {
  for (const path of entries.keys()) {
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
      if (entries.has(parent)) throw hostile('a path is a file and a folder', parent)
    }
  }
}

/** Reads the targets of the tree's links. Throws BUNDLE_CORRUPT where one leads out of the tree. */
async function checkLinks(store: ReadableStore, entries: TreeEntries): Promise<void> {
  for (const [path, entry] of entries) {
    if (entry.mode !== '120000') continue
    const target = (await readAll(store, entry.descriptor, 1024)).toString('utf8')
    if (!isSafeLink({ path, target }))
      throw hostile('a symbolic link leads out of its tree', `${path} -> ${target.slice(0, 200)}`)
  }
}

function hostile(what: string, item: string): AirgapError {
  return new AirgapError('BUNDLE_CORRUPT', what, {
    item,
    likely: 'whoever built the bundle made a mistake, or means harm',
    next: 'do not use it; ask whoever built it',
  })
}
