import { lstat, mkdir, open, readlink, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import type { TreeEntries, TreeEntry } from '../content/tree.ts'
import { temporaryPathOf } from '../core/atomic-file.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { isSafeLink } from '../core/safe-path.ts'
import { eachAtOnce } from './at-once.ts'

/**
 * Writes the files of a tree below `folder`: each whole or not at all, and none through a symbolic link, whether the tree contains the
 * link or it existed before (CVE-2021-37701 in node-tar). Links are created last and stay inside. Throws BUNDLE_CORRUPT
 * (malicious tree), PERMISSION (a link in place of a file or folder), and what verified reads throw.
 */
export async function extractTree(
  store: ReadableStore,
  entries: TreeEntries,
  options: { folder: string; signal?: AbortSignal },
): Promise<{ files: number; bytes: number }> {
  const { folder, signal } = options
  checkNoFileIsFolder(entries)
  const isLink = ([, entry]: [string, TreeEntry]) => entry.mode === '120000'
  const all = [...entries]
  const links = await Promise.all(
    all.filter(isLink).map(async ([path, entry]) => ({ path, to: await linkTarget(store, path, entry) })),
  )
  const made = new Set<string>()
  let bytes = 0
  const writeEntry = async ([path, entry]: [string, TreeEntry]) => {
    await makeFolders(folder, dirname(path), made)
    await writeFile(join(folder, path), {
      body: await store.open(entry.descriptor),
      executable: entry.mode === '100755',
    })
    bytes += entry.descriptor.size
  }
  const files = all.filter(entry => !isLink(entry))
  await eachAtOnce(files, { signal, work: writeEntry })
  for (const { path, to } of links) {
    await makeFolders(folder, dirname(path), made)
    await writeLink(join(folder, path), to)
  }
  return { files: all.length, bytes }
}

/** With `a` and `a/b` in one tree, `a` could be a link to any place, and `a/b` would be written there. */
function checkNoFileIsFolder(entries: TreeEntries): void {
  for (const path of entries.keys()) {
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
      if (entries.has(parent)) throw malicious('a tree uses one path as a file and as a folder', parent)
    }
  }
}

async function linkTarget(store: ReadableStore, path: string, entry: TreeEntry): Promise<string> {
  const target = (await readAll(store, entry.descriptor, 1024)).toString('utf8')
  if (isSafeLink({ path, target })) return target
  throw malicious('a symbolic link leads out of its tree', `${path} -> ${target.slice(0, 200)}`)
}

/** Creates each missing folder. Throws PERMISSION for one that is a link or a file. */
async function makeFolders(root: string, relative: string, made: Set<string>): Promise<void> {
  if (made.size === 0) {
    await mkdir(root, { recursive: true }).catch(error => Promise.reject(fromSystemError(error, root)))
    made.add('.')
  }
  const parts = relative === '.' ? [] : relative.split('/')
  for (let depth = 1; depth <= parts.length; depth++) {
    const path = parts.slice(0, depth).join('/')
    if (made.has(path)) continue
    const full = join(root, path)
    try {
      await mkdir(full)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw fromSystemError(error, full)
      if (!(await lstat(full)).isDirectory()) throw inTheWay(full)
    }
    made.add(path)
  }
}

async function writeFile(path: string, content: { body: Readable; executable: boolean }): Promise<void> {
  const temporary = temporaryPathOf(path)
  try {
    await checkReplaceable(path)
    const file = await open(temporary, 'wx', content.executable ? 0o755 : 0o644)
    try {
      for await (const chunk of content.body as AsyncIterable<Uint8Array>) await file.writeFile(chunk)
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    content.body.destroy()
    await rm(temporary, { force: true })
    throw fromSystemError(error, path)
  }
}

async function writeLink(path: string, target: string): Promise<void> {
  try {
    if ((await readlink(path).catch(() => undefined)) === target) return
    await checkReplaceable(path)
    const temporary = temporaryPathOf(path)
    await symlink(target, temporary)
    await rename(temporary, path)
  } catch (error) {
    throw fromSystemError(error, path)
  }
}

/** Only a regular file, as an earlier run leaves it, may be replaced. */
async function checkReplaceable(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found !== undefined && !found.isFile()) throw inTheWay(path)
}

function inTheWay(path: string): AirgapError {
  return new AirgapError('PERMISSION', 'a link or a special file is in place of a file or folder', {
    item: path,
    likely: 'a symbolic link existed before: writing through it could change any file of this host',
    next: 'extract into a new, empty folder',
  })
}

function malicious(what: string, item: string): AirgapError {
  return new AirgapError('BUNDLE_CORRUPT', what, {
    item,
    likely: 'the bundle was built by another program, or it is malicious',
    next: 'do not use it; report it to the person who built it',
  })
}
