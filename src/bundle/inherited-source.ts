import { close, fstatSync, read } from 'node:fs'
import { promisify } from 'node:util'
import { fromSystemError } from '../core/errors.ts'
import { fileEnded } from '../core/file-ended.ts'
import { openFileState } from '../core/file-state.ts'
import type { ByteSource } from './byte-source.ts'

const readAt = promisify(read)
const closeFile = promisify(close)

/**
 * Returns a file that another process opened and this one inherited. Nothing is opened by the path, which may lead to another file by now;
 * each read names its position, so that processes with the same open file do not disturb each other. Throws IO.
 */
export async function inheritedSource({ fd, path }: { fd: number; path: string }): Promise<ByteSource> {
  const stat = (async () => fstatSync(fd, { bigint: true })) as Parameters<typeof openFileState>[0]['stat']
  const state = async () => {
    try {
      return await openFileState({ stat }, path)
    } catch (error) {
      throw fromSystemError(error, path)
    }
  }
  const opened = await state()
  return {
    name: path,
    size: Number(opened.size),
    opened: [opened],
    state: async () => [await state()],
    async read(buffer, position) {
      try {
        for (let done = 0; done < buffer.length; ) {
          const { bytesRead } = await readAt(fd, buffer, done, buffer.length - done, position + done)
          if (bytesRead === 0) throw fileEnded(path, position + done)
          done += bytesRead
        }
      } catch (error) {
        throw fromSystemError(error, path)
      }
    },
    extents: (start, end) => [{ fd, start, end }],
    close: () => closeFile(fd),
  }
}
