import { digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import type { ByteSource } from './byte-source.ts'
import type { UnplacedEntry } from './entry.ts'
import { misplacedEntries } from './entry-order.ts'
import { decodeFrontTable } from './front-table.ts'
import { fixedBytes, frontEntries, type Layout, layoutOf } from './layout.ts'
import { type Front, readFront } from './read-front.ts'

/**
 * Returns the layout of a bundle of which only index.json and the front table are here: the tar is a function of the two and of content by
 * digest. They are checked as those of a bundle that is opened. Throws what readFront throws; `name` is for messages.
 */
export async function layoutOfFront({
  index,
  table,
  name,
}: {
  index: Uint8Array
  table: Uint8Array
  name: string
}): Promise<{ layout: Layout; front: Front }> {
  const { index: indexDigest, entries: rest } = decodeFrontTable(table, name)
  const entries = [...frontEntries({ index, table }), ...rest.map(entry => withEmpty(entry, name))]
  const layout = layoutOf(entries, indexDigest)
  const front = await readFront(frontSource(layout, name))
  const [misplaced] = misplacedEntries(layout.entries)
  if (misplaced !== undefined)
    throw new AirgapError('BUNDLE_CORRUPT', 'an entry of the bundle is out of order', {
      item: `${name}: ${misplaced.path}`,
    })
  return { layout, front }
}

/** Empty content has no source. A file whose digest nothing states could be anything. */
function withEmpty(entry: UnplacedEntry, name: string): UnplacedEntry {
  if (entry.type === 'link') return entry
  const empty = Buffer.alloc(0)
  if (entry.digest === undefined || (entry.size === 0 && entry.digest !== digestOf(empty)))
    throw new AirgapError('BUNDLE_CORRUPT', 'nothing in the bundle states the digest of this file', {
      item: `${name}: ${entry.path}`,
    })
  return entry.size === 0 ? { ...entry, bytes: empty } : entry
}

/** The bundle as far as it is known: its front. Reading anything else is an error of the program. */
function frontSource(layout: Layout, name: string): ByteSource {
  const [, , , next] = layout.entries
  const end = next?.headerOffset ?? layout.size
  const front = Buffer.alloc(end)
  for (const { offset, bytes } of fixedBytes(layout)) if (offset < end) front.set(bytes, offset)
  return {
    name,
    size: layout.size,
    opened: [],
    state: async () => [],
    async read(buffer, position) {
      // the first read is longer than the front of a small bundle; readFront uses nothing after it
      front.copy(buffer, 0, position, Math.min(end, position + buffer.length))
    },
    close: async () => {},
  }
}
