import { read } from 'node:fs'
import type { Extent } from '../content/hash-worker.ts'
import type { ReadableStore } from '../content/store.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { fileEnded } from '../core/file-ended.ts'
import { descriptorsState } from '../core/file-state.ts'

/** Content where it is, for readers with buffers of their own. */
export interface ContentFile {
  /** in open files; undefined: only the store can read it */
  extents: readonly Extent[] | undefined
  /** Returns the present state of the files that the content is in; empty where it cannot change. */
  state(): string | Promise<string>
  /** Fills the whole buffer from `position` in the content. Not verified. Throws IO, SIZE_MISMATCH (shorter), and what the store throws. */
  read(buffer: Buffer, position: number): Promise<void>
}

/** Finds the content in its store, and reads none of it. Throws what `open` of the store throws. */
export async function contentFile(store: ReadableStore, descriptor: Descriptor): Promise<ContentFile> {
  const extents = await store.extents?.(descriptor)
  return extents === undefined ? inStore(store, descriptor) : inFiles(extents, descriptor)
}

function inFiles(extents: readonly Extent[], { digest }: Descriptor): ContentFile {
  const fds = [...new Set(extents.map(({ fd }) => fd))]
  return {
    extents,
    state() {
      try {
        return descriptorsState(fds)
      } catch (error) {
        throw fromSystemError(error, digest)
      }
    },
    async read(buffer, position) {
      let done = 0
      let before = 0 /* bytes of the extents so far */
      for (const { fd, start, end } of extents) {
        while (done < buffer.length && position + done < before + (end - start)) {
          const at = start + position + done - before
          const length = Math.min(buffer.length - done, end - at)
          const bytesRead = await readAt(fd, { buffer, offset: done, length, at }).catch(error => {
            throw fromSystemError(error, digest)
          })
          if (bytesRead === 0) throw fileEnded(digest, at)
          done += bytesRead
        }
        before += end - start
      }
    },
  }
}

/** With the callback form: its promise costs a third of what a read of a cached page does. */
function readAt(
  fd: number,
  { buffer, offset, length, at }: { buffer: Buffer; offset: number; length: number; at: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, buffer, offset, length, at, (error, bytesRead) => (error ? reject(error) : resolve(bytesRead)))
  })
}

function inStore(store: ReadableStore, descriptor: Descriptor): ContentFile {
  return {
    extents: undefined,
    state: async () => (await store.state?.(descriptor)) ?? '',
    async read(buffer, position) {
      const range = { start: position, end: position + buffer.length }
      let done = 0
      for await (const chunk of (await store.open(descriptor, range)) as AsyncIterable<Uint8Array>) {
        buffer.set(chunk.subarray(0, buffer.length - done), done)
        done += chunk.length
      }
      if (done === buffer.length) return
      throw new AirgapError(
        'SIZE_MISMATCH',
        `the content is ${done} bytes long; ${buffer.length} were expected`,
        {
          item: descriptor.digest,
          likely: 'the bundle was truncated or replaced while it was served',
          next: 'run `offline-deploy verify` on the bundle',
        },
      )
    },
  }
}
