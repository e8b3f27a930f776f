import { constants, type Stats } from 'node:fs'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { compareText } from '../../core/canonical-json.ts'
import { type Digest, Hasher } from '../../core/digest.ts'
import { AirgapError, fromSystemError } from '../../core/errors.ts'
import { pathMatcher } from '../../core/glob.ts'
import { isSafeLink, safeRelativePath } from '../../core/safe-path.ts'
import type { TreeRequest } from './entry.ts'

export type WalkedFile =
  | { path: string; mode: '100644' | '100755'; digest: Digest; size: number }
  | { path: string; target: string }

/** Version control and what a file manager leaves behind are never content. */
const alwaysLeftOut = new Set(['.git', '.DS_Store'])

/**
 * Every file of the folder, hashed, sorted by path. Links that leave it, devices and sockets are errors. `look` gets the start of
 * each file (at most 1 MiB), which is valid until it returns.
 */
export async function walkFolder(
  request: TreeRequest,
  look: (path: string, start: Buffer) => void,
): Promise<WalkedFile[]> {
  const excluded = request.exclude.map(pathMatcher)
  const files: WalkedFile[] = []
  const buffer = Buffer.allocUnsafe(1 << 20)
  const walk = async (relative: string): Promise<void> => {
    const names = await list(join(request.folder, relative), request)
    for (const name of names.sort(compareText)) {
      const path = relative === '' ? name : `${relative}/${name}`
      if (alwaysLeftOut.has(name) || excluded.some(matches => matches(path))) continue
      checkName(request, path)
      const file = await statOf(request, path)
      if (file.isDirectory()) await walk(path)
      else if (file.isFile())
        files.push(
          await hashed(request.folder, { path, executable: (file.mode & 0o100) !== 0, buffer, look }),
        )
      else if (file.isSymbolicLink()) files.push(await link(request, path))
      else throw refused(request, { path, what: 'neither file, folder nor link' })
    }
  }
  await walk('')
  return files.sort((a, b) => compareText(a.path, b.path))
}

async function list(folder: string, request: TreeRequest): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    const reported = fromSystemError(error, folder)
    if (!(reported instanceof AirgapError)) throw reported
    throw new AirgapError(reported.code, reported.message, {
      item: `${folder} (${request.at})`,
      next: 'correct `from:`; its path is relative to the folder of the manifest',
      cause: error,
    })
  }
}

function checkName(request: TreeRequest, path: string): void {
  // the replacement character for bytes that are not UTF-8
  if (path.includes('\ufffd')) throw refused(request, { path, what: 'a name that is not UTF-8' })
  try {
    safeRelativePath(path, 'MANIFEST_INVALID')
  } catch {
    throw refused(request, { path, what: 'a name with control characters or backslashes, or too long' })
  }
}

async function statOf(request: TreeRequest, path: string): Promise<Stats> {
  try {
    return await lstat(join(request.folder, path))
  } catch (error) {
    throw fromSystemError(error, join(request.folder, path))
  }
}

async function hashed(
  folder: string,
  file: {
    path: string
    executable: boolean
    buffer: Buffer
    look: (path: string, start: Buffer) => void
  },
): Promise<WalkedFile> {
  const { path, buffer, look } = file
  const hasher = new Hasher()
  let size = 0
  try {
    // what was a file a moment ago may be a link or a pipe by now: the one is not followed, the other not waited for
    const handle = await open(
      join(folder, path),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    )
    try {
      for (;;) {
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, size)
        if (bytesRead === 0) break
        if (size === 0) look(path, buffer.subarray(0, bytesRead))
        hasher.update(buffer.subarray(0, bytesRead))
        size += bytesRead
      }
    } finally {
      await handle.close()
    }
  } catch (error) {
    const reported = fromSystemError(error, join(folder, path))
    if (reported instanceof AirgapError) throw reported
    throw new AirgapError('IO', 'a file cannot be read', {
      item: join(folder, path),
      likely: 'it was replaced by something else while the folder was read',
      next: 'run the same command again when nothing writes to the folder',
      cause: error,
    })
  }
  return { path, mode: file.executable ? '100755' : '100644', digest: hasher.digest(), size }
}

/**
 * Returns the target of a link unchanged. Refuses one that leaves the folder, and one with `..` after a name: with `a/l → ../..`
 * inside, `m → a/l/../x` looks harmless and leaves. Without such links, no chain of links can leave.
 */
async function link(request: TreeRequest, path: string): Promise<WalkedFile> {
  const bytes = await readlink(join(request.folder, path), 'buffer')
  const target = bytes.toString('utf8')
  const shown = target.slice(0, 200)
  if (!Buffer.from(target).equals(bytes)) throw refused(request, { path, what: 'a link that is not UTF-8' })
  const meant = posix.normalize(posix.join(posix.dirname(path), target))
  if (posix.isAbsolute(target) || meant === '..' || meant.startsWith('../'))
    throw refused(request, { path, what: `a link that leaves the folder (→ ${shown})` })
  const odd = 'a link that goes up in its middle, has control characters or is too long'
  if (!isSafeLink({ path, target })) throw refused(request, { path, what: `${odd} (→ ${shown})` })
  return { path, target }
}

function refused(request: TreeRequest, file: { path: string; what: string }): AirgapError {
  return new AirgapError('MANIFEST_INVALID', `cannot be carried: ${file.what}`, {
    item: `${join(request.folder, file.path)} (${request.at})`,
    next: 'replace it by a file, or leave it out with `exclude:`',
  })
}
