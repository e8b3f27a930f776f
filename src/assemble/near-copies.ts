import { isAbsolute, join } from 'node:path'
import type { SlotCopy } from '../bundle/slot-copies.ts'
import type { Slot } from '../bundle/writer.ts'
import type { Source } from '../content/artifact.ts'
import type { Piece } from '../content/hash-worker.ts'
import type { LayoutStore } from '../content/layout-store.ts'
import type { ReadableStore } from '../content/store.ts'
import { AirgapError } from '../core/errors.ts'

/** An earlier bundle. */
export interface ReusedBundle {
  path: string
  store: ReadableStore
  /** the build replaces it: damage in it is not an error */
  replaced?: true
}

/** Where content is on this host, in this order. */
export interface NearContent {
  /** earlier bundles, tried before the network */
  reuse: ReusedBundle[]
  /** content that was fetched while locking, or that is created now */
  cache: LayoutStore
  /** folder of the manifest, for the files of trees */
  folder: string
  /** path in the bundle → absolute path in this tool's installation */
  runtime: Readonly<Record<string, string>>
}

/** Returns the slots whose content may be on this host, each with the first place that may have it. Nothing is read yet but names and sizes. */
export async function nearCopies(slots: readonly Slot[], near: NearContent): Promise<SlotCopy[]> {
  const copies: SlotCopy[] = []
  for (const slot of slots) {
    const from = await nearSource(slot, near)
    if (from !== undefined) copies.push({ slot, from })
  }
  return copies
}

async function nearSource(slot: Slot, near: NearContent): Promise<Piece['from'] | undefined> {
  const { descriptor, sources } = slot
  for (const { store } of near.reuse) {
    try {
      const extents = (await store.exists(descriptor)) ? await store.extents?.(descriptor) : undefined
      if (extents !== undefined) return extents
    } catch (error) {
      // a damaged bundle: the next read reports it
      if (error instanceof AirgapError) return undefined
      throw error
    }
  }
  if (await near.cache.exists(descriptor)) {
    return { path: near.cache.pathOf(descriptor), size: descriptor.size }
  }
  const [source] = sources
  if (source?.type !== 'path' && source?.type !== 'tool') return undefined
  const path = localPath(source, near)
  return path === undefined ? undefined : { path, size: descriptor.size }
}

/** Returns the path of a local file; undefined for one that this version of the program does not have. */
export function localPath(
  source: Source & { type: 'path' | 'tool' },
  { folder, runtime }: Pick<NearContent, 'folder' | 'runtime'>,
): string | undefined {
  if (source.type === 'path') return isAbsolute(source.path) ? source.path : join(folder, source.path)
  return Object.hasOwn(runtime, source.name) ? runtime[source.name] : undefined
}
