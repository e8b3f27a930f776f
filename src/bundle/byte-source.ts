import { constants, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { nearbyFiles } from '../core/nearby-files.ts'

/** The bytes of a bundle, wherever they are stored: in one file, or in several volumes that read as one. */
export interface ByteSource {
  /** for messages: a path */
  readonly name: string
  /** bytes */
  readonly size: number
  /** of a file, at the time it was opened: milliseconds since 1970 */
  readonly mtimeMs?: number
  /** Fills the whole buffer from `position`. Throws IO if the source ends before. */
  read(buffer: Uint8Array, position: number): Promise<void>
  /** The same synchronously, if possible: it avoids the thread pool, which costs a sequential reader a tenth of its time. */
  readSync?(buffer: Uint8Array, position: number): void
  close(): Promise<void>
}

/** Opens a file as a source. Throws FILE_NOT_FOUND, PERMISSION, BUNDLE_UNREADABLE (not a file). */
export async function openFileSource(path: string): Promise<ByteSource> {
  let file: FileHandle | undefined
  try {
    file = await open(path, constants.O_RDONLY)
    const found = await file.stat()
    if (!found.isFile()) {
      const [first] = await nearbyFiles(join(path, 'x'), ['.tar'])
      throw new AirgapError('BUNDLE_UNREADABLE', 'the path is not a file', {
        item: path,
        next: `pass the path of the bundle itself${first === undefined ? '' : `, such as ${first}`}`,
      })
    }
    return { ...fileSource(path, file, found.size), mtimeMs: found.mtimeMs }
  } catch (error) {
    await file?.close()
    throw errnoOf(error) === 'ENOENT' ? await noBundle(path, error) : fromSystemError(error, path)
  }
}

async function noBundle(path: string, cause: unknown): Promise<AirgapError> {
  const others = await nearbyFiles(path, ['.tar'])
  return new AirgapError('FILE_NOT_FOUND', 'the bundle does not exist', {
    item: path,
    likely:
      others.length > 0
        ? `in the same folder there is ${others.join(', ')}`
        : 'it is in another folder, or its disk is not mounted',
    next:
      others.length > 0
        ? `pass the path of the bundle, such as ${others[0]}`
        : 'pass the path of the .tar that `airgap build` wrote',
    cause,
  })
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
  return new AirgapError('IO', `the file ends at byte ${position}, before the requested content`, {
    item: path,
    likely: 'it was truncated or replaced while it was open',
    next: 'make sure that nothing writes to the bundle while it is in use, then run `verify` on it',
  })
}
