import { constants, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { AirgapError, fromSystemError } from '../core/errors.ts'

/** The bytes of a bundle, wherever they are: one file, or several volumes that read as one. */
export interface ByteSource {
  /** for messages: a path */
  readonly name: string
  /** bytes */
  readonly size: number
  /** of a file, when it was opened: milliseconds since 1970 */
  readonly mtimeMs?: number
  /** Fills the whole buffer from `position`; throws IO where the source cannot give that many bytes. */
  read(buffer: Uint8Array, position: number): Promise<void>
  /** The same at once, where that is possible: it spares a pass through the thread pool, which costs a sequential reader a tenth. */
  readSync?(buffer: Uint8Array, position: number): void
  close(): Promise<void>
}

/** Throws FILE_NOT_FOUND, PERMISSION, BUNDLE_UNREADABLE (not a file). */
export async function openFileSource(path: string): Promise<ByteSource> {
  let file: FileHandle | undefined
  try {
    file = await open(path, constants.O_RDONLY)
    const found = await file.stat()
    if (!found.isFile()) {
      throw new AirgapError('BUNDLE_UNREADABLE', 'not a file', {
        item: path,
        next: 'give the path of the bundle itself',
      })
    }
    return { ...fileSource(path, file, found.size), mtimeMs: found.mtimeMs }
  } catch (error) {
    await file?.close()
    throw fromSystemError(error, path)
  }
}

function fileSource(path: string, file: FileHandle, size: number): ByteSource {
  return {
    name: path,
    size,
    async read(buffer, position) {
      try {
        for (let done = 0; done < buffer.length; ) {
          const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done)
          if (bytesRead === 0) throw ended(path, position + done)
          done += bytesRead
        }
      } catch (error) {
        throw fromSystemError(error, path)
      }
    },
    readSync(buffer, position) {
      try {
        for (let done = 0; done < buffer.length; ) {
          const bytesRead = readSync(file.fd, buffer, done, buffer.length - done, position + done)
          if (bytesRead === 0) throw ended(path, position + done)
          done += bytesRead
        }
      } catch (error) {
        throw fromSystemError(error, path)
      }
    },
    close: () => file.close(),
  }
}

function ended(path: string, position: number): AirgapError {
  return new AirgapError('IO', `the file ends at byte ${position}, before what is to be read`, {
    item: path,
    likely: 'it was cut short or replaced while it was open',
    next: 'let nothing write to the bundle while it is used; run verify on it',
  })
}
