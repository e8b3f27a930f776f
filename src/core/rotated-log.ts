import { closeSync, copyFileSync, fstatSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs'
import { fromSystemError } from './errors.ts'

/** A log file that is rotated while it is written. */
export interface RotatedLog {
  /** Appends a line. A line that cannot be written (a full disk) is dropped: it must not end the program. */
  write(line: string): void
  close(): void
}

/** Returns where the previous part of a log is. There is one: both together are at most twice the limit. */
export function previousLog(path: string): string {
  return `${path}.1`
}

/**
 * Opens a log to append to, mode 0600; above `limit` bytes it is copied to `previousLog` and emptied. It is not renamed, because another
 * descriptor of the same file may be open: the standard error of this process. Throws PERMISSION, NO_SPACE, IO.
 */
export function openRotatedLog(path: string, { limit }: { limit: number }): RotatedLog {
  let file = open(path)
  let size = fstatSync(file).size

  function rotate(): void {
    const own = fstatSync(file)
    size = own.size
    if (!isAt(path, own)) {
      // another program has renamed it
      closeSync(file)
      file = open(path)
      size = fstatSync(file).size
    } else if (size > limit) {
      copyFileSync(path, previousLog(path))
      ftruncateSync(file, 0)
      size = 0
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

function isAt(path: string, own: { dev: number; ino: number }): boolean {
  try {
    const found = statSync(path)
    return found.dev === own.dev && found.ino === own.ino
  } catch {
    return false
  }
}
