import {
  closeSync,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { errnoOf, fromSystemError } from './errors.ts'

/** A log file that is rotated while it is written. */
export interface RotatedLog {
  /** Appends a line. A line that cannot be written (a full disk) is dropped: it must not end the program. */
  write(line: string): void
  /** Opens the file at the path again, where another program (logrotate) has moved the one that was open. */
  reopen(): void
  close(): void
}

/** Returns where a previous part of a log is, the newest first. */
export function previousLog(path: string, position = 1): string {
  return `${path}.${position}`
}

/**
 * Opens a log to append to, mode 0600; above `limit` bytes it is copied to `previousLog` and emptied. It is not renamed, because another
 * descriptor of the same file may be open: the standard error of this process. `keep` previous parts stay; with all of them, the log
 * takes at most `keep + 1` times the limit. Throws PERMISSION, NO_SPACE, IO.
 */
export function openRotatedLog(
  path: string,
  { limit, keep = 1 }: { limit: number /* bytes */; keep?: number },
): RotatedLog {
  let file = open(path)
  let size = fstatSync(file).size

  /** The new one first: where it cannot be opened, lines go on to the old one. */
  function openAgain(): void {
    const next = open(path)
    closeSync(file)
    file = next
    size = fstatSync(file).size
  }

  function keepCopy(): void {
    const copy = `${path}.new`
    try {
      copyFileSync(path, copy)
    } catch (error) {
      rmSync(copy, { force: true })
      throw error
    }
    for (let i = keep - 1; i >= 1; i--) moveIfExists(previousLog(path, i), previousLog(path, i + 1))
    renameSync(copy, previousLog(path))
  }

  function rotate(): void {
    const own = fstatSync(file)
    size = own.size
    if (!isAt(path, own)) {
      openAgain()
    } else if (size > limit) {
      // where it fails (a full disk), it is tried again after as many bytes, and the parts that are there stay
      size = 0
      if (keep > 0) keepCopy()
      ftruncateSync(file, 0)
    }
  }

  return {
    write(line) {
      try {
        size += writeSync(file, `${line}\n`)
        if (size > limit) rotate()
      } catch {
        // dropped; the next line may fit again
      }
    },
    reopen() {
      try {
        if (!isAt(path, fstatSync(file))) openAgain()
      } catch {
        // a missing folder, or no free descriptor: the log stays where it is
      }
    },
    close: () => closeSync(file),
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'a', 0o600)
  } catch (error) {
    throw fromSystemError(error, path)
  }
}

function moveIfExists(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

function isAt(path: string, own: { dev: number; ino: number }): boolean {
  try {
    const found = statSync(path)
    return found.dev === own.dev && found.ino === own.ino
  } catch {
    return false
  }
}
