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

/**
 * The content of an overlay, to read. Blobs are opened when they are read; a file is closed once nobody has its extents any more, so that an
 * answer in flight never finds its descriptor closed or used for another file.
 */
export function overlayStore(folder: string): ReadableStore {
  const paths = overlayFolder(folder)
  const opened = new Map<Digest, WeakRef<Extents>>()
  const unused = new FinalizationRegistry<number>(fd => close(fd, () => {}))

  async function openFile(descriptor: Descriptor): Promise<Extents> {
    const path = paths.blob(descriptor.digest)
    try {
      const found = await stat(path)
      if (found.size !== descriptor.size) throw missing(descriptor)
      const fd = await promisify(open)(path, 'r')
      const extents: Extents = [{ fd, start: 0, end: descriptor.size }]
      unused.register(extents, fd)
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
    async extents(descriptor) {
      const known = opened.get(descriptor.digest)?.deref()
      if (known?.[0]?.end === descriptor.size) return known
      const extents = await openFile(descriptor)
      opened.set(descriptor.digest, new WeakRef(extents))
      return extents
    },
  }
}

function missing({ digest }: Descriptor): AirgapError {
  return new AirgapError('NOT_FOUND', 'the overlay does not have this content', { item: digest })
}
