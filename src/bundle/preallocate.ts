import { execFile } from 'node:child_process'
import { type FileHandle, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { AirgapError, fromSystemError } from '../core/errors.ts'

/** Throws NO_SPACE, with this advice, if the file cannot grow to `size` bytes; blocks that it already has count. */
export async function checkSpace(
  file: FileHandle,
  { path, size, next }: { path: string; size: number; next?: string },
): Promise<void> {
  try {
    const { blocks, size: present } = await file.stat()
    const { bavail, bsize, blocks: all } = await statfs(dirname(path))
    // some network file systems do not report their size
    if (all === 0) return
    const needed = size - Math.min(blocks * 512, present)
    const free = bavail * bsize
    if (needed > free)
      throw noSpace(path, `${mebibytes(needed)} are needed, ${mebibytes(free, Math.floor)} are free`, next)
  } catch (error) {
    throw fromSystemError(error, path)
  }
}

/**
 * Extends the empty file to its full size. The `fallocate` program (util-linux) also reserves its blocks, so that a disk that fills up
 * meanwhile does not stop the build; without it, or if the file system does not support that, the file is sparse. Throws NO_SPACE.
 */
export async function preallocate(
  file: FileHandle,
  { path, size }: { path: string; size: number },
): Promise<void> {
  try {
    await promisify(execFile)('fallocate', ['--length', String(size), '--', path], {
      env: { ...process.env, LC_ALL: 'C' },
    })
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : ''
    if (said.includes('No space left')) throw noSpace(path, `${mebibytes(size)} are needed`)
  }
  try {
    await file.truncate(size)
  } catch (error) {
    throw fromSystemError(error, path)
  }
}

function noSpace(
  path: string,
  what: string,
  next = `free some space (\`df -h ${dirname(path)}\` shows it), or choose another disk with --out`,
): AirgapError {
  return new AirgapError('NO_SPACE', `the disk has too little space: ${what}`, { item: path, next })
}

/** Rounded so that a person who frees that much has enough. */
function mebibytes(bytes: number, round: (value: number) => number = Math.ceil): string {
  return `${round(bytes / (1 << 20))} MiB`
}
