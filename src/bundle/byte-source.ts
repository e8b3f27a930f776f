import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Extent } from '../content/hash-worker.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { fileEnded } from '../core/file-ended.ts'
import { type FileState, fileStateAt, isSameFile, openFileState, stateText } from '../core/file-state.ts'
import { nearbyFiles } from '../core/nearby-files.ts'

/** The bytes of a bundle, wherever they are stored: in one file, or in several volumes that read as one. */
export interface ByteSource {
  /** for messages: a path */
  readonly name: string
  /** bytes */
  readonly size: number
  /** one state per file, in order, as each was opened; none where the bytes are in memory and cannot change */
  readonly opened: readonly FileState[]
  /**
   * Returns the present states of the open files, whatever their paths lead to by now. What was verified is valid as long as they are
   * equal to those taken before it was read (`stateText`).
   */
  state(): Promise<readonly FileState[]>
  /** Fills the whole buffer from `position`. Throws IO if the source ends before. */
  read(buffer: Uint8Array, position: number): Promise<void>
  /** Returns where the bytes from `start` to `end` are in the open files, in order; absent where they are in memory. */
  extents?(start: number, end: number): readonly Extent[]
  close(): Promise<void>
}

/** Opens a file as a source. Throws FILE_NOT_FOUND, PERMISSION, BUNDLE_UNREADABLE (not a file). */
export async function openFileSource(path: string): Promise<ByteSource> {
  let file: FileHandle | undefined
  try {
    file = await open(path, constants.O_RDONLY)
    if (!(await file.stat()).isFile()) {
      const [first] = await nearbyFiles(join(path, 'x'), ['.tar'])
      throw new AirgapError('BUNDLE_UNREADABLE', 'the path is not a file', {
        item: path,
        next: `pass the path of the bundle itself${first === undefined ? '' : `, such as ${first}`}`,
      })
    }
    return fileSource(file, await openFileState(file, path))
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

/**
 * Refuses a source that is no longer what was opened: what an earlier read has found out (the front of a bundle, its digests) may no longer
 * be true of the next one, or of the file that another program opens by the same path. Throws BUNDLE_CORRUPT.
 */
export async function refuseChanged(source: ByteSource): Promise<void> {
  const { opened } = source
  for (const state of opened) {
    const at = await fileStateAt(state.path).catch(() => undefined)
    if (at === undefined || !isSameFile(at, state)) throw changed(state.path, 'replaced or removed')
  }
  if (stateText(await source.state()) !== stateText(opened)) throw changed(source.name, 'written to')
}

function changed(path: string, how: 'replaced or removed' | 'written to'): AirgapError {
  return new AirgapError('BUNDLE_CORRUPT', `the bundle was ${how} while it was open`, {
    item: path,
    likely: 'another program copies a bundle to this path, or changes this one',
    next: 'make sure that nothing else writes there, then run the same command again: it reads the whole file',
  })
}

function fileSource(file: FileHandle, opened: FileState): ByteSource {
  const { path } = opened
  return {
    name: path,
    size: Number(opened.size),
    opened: [opened],
    async state() {
      try {
        return [await openFileState(file, path)]
      } catch (error) {
        throw fromSystemError(error, path)
      }
    },
    async read(buffer, position) {
      try {
        for (let done = 0; done < buffer.length; ) {
          const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done)
          if (bytesRead === 0) throw fileEnded(path, position + done)
          done += bytesRead
        }
      } catch (error) {
        throw fromSystemError(error, path)
      }
    },
    extents: (start, end) => [{ fd: file.fd, start, end }],
    close: () => file.close(),
  }
}
