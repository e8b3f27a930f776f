import { close, createReadStream, open } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import type { Extent } from '../content/hash-worker.ts'
import type { ReadableStore } from '../content/store.ts'
import { verified } from '../content/verify.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { fileStateAt, stateText } from '../core/file-state.ts'
import { overlayFolder } from './overlay-folder.ts'

/** Descriptors that nobody uses any more. */
type Extents = readonly Extent[]

/** An open file, and which one it is. */
interface OpenedFile {
  extents: WeakRef<Extents>
  dev: number
  ino: number
}

/**
 * The content of an overlay, to read. Blobs are opened when they are read; a file is closed once nobody has its extents any more, so that an
 * answer in flight never finds its descriptor closed or used for another file.
 */
export function overlayStore(folder: string): ReadableStore {
  const paths = overlayFolder(folder)
  const opened = new Map<Digest, OpenedFile>()
  const unused = new FinalizationRegistry<number>(fd => close(fd, () => {}))

  async function openFile(descriptor: Descriptor): Promise<Extents> {
    const path = paths.blob(descriptor.digest)
    try {
      const { size, dev, ino } = await stat(path)
      if (size !== descriptor.size) throw missing(descriptor)
      const known = opened.get(descriptor.digest)
      const stillOpen = known?.dev === dev && known.ino === ino ? known.extents.deref() : undefined
      // after a push of the same content another file has its place: the one that is open may be damaged
      if (stillOpen !== undefined) return stillOpen
      const fd = await promisify(open)(path, 'r')
      const extents: Extents = [{ fd, start: 0, end: descriptor.size }]
      unused.register(extents, fd)
      opened.set(descriptor.digest, { extents: new WeakRef(extents), dev, ino })
      return extents
    } catch (error) {
      throw errnoOf(error) === 'ENOENT' ? missing(descriptor) : fromSystemError(error, path)
    }
  }

  return {
    async exists({ digest, size }) {
      const found = await stat(paths.blob(digest)).catch(() => undefined)
      return found?.size === size
    },
    async open(descriptor, range) {
      const path = paths.blob(descriptor.digest)
      const found = await stat(path).catch(() => undefined)
      if (found?.size !== descriptor.size) throw missing(descriptor)
      if (range !== undefined && range.end <= range.start) return Readable.from([])
      if (range !== undefined) return createReadStream(path, { start: range.start, end: range.end - 1 })
      return Readable.from(verified(descriptor, createReadStream(path)), { objectMode: false })
    },
    async state({ digest }) {
      try {
        return stateText([await fileStateAt(paths.blob(digest))])
      } catch (error) {
        throw fromSystemError(error, digest)
      }
    },
    extents: openFile,
  }
}

function missing({ digest }: Descriptor): AirgapError {
  return new AirgapError('NOT_FOUND', 'the overlay does not have this content', { item: digest })
}
