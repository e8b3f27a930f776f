import pLimit from 'p-limit'
import type { HashPool } from '../content/hash-pool.ts'
import type { Piece } from '../content/hash-worker.ts'
import type { Slot } from './slot.ts'

/** Content of this host that may be the content of the slot. */
export interface SlotCopy {
  slot: Slot
  from: Piece['from']
}

/** One request to a thread: small contents together, large ones alone. */
const requestSize = 4 << 20 /* bytes */
const requestPieces = 250

/** Starting the threads takes longer than copying this much here. */
const worthThreads = { bytes: 8 << 20, pieces: 250 }

/**
 * Has threads copy content into its slots, and hash what they write. A slot whose copy has another digest, or could not be read, is empty
 * again: `copied` reports each. Throws the reason of `signal` once no thread writes any more.
 */
export async function copyIntoSlots(
  copies: readonly SlotCopy[],
  options: { pool: HashPool; signal: AbortSignal | undefined; copied: (slot: Slot) => void },
): Promise<void> {
  const { pool, signal, copied } = options
  await inThreads(copies, pool, async group => {
    const pieces = group.map(({ slot, from }) => ({ from, to: slot.place }))
    const results = await pool.hashEach(pieces, { signal })
    await Promise.all(group.map(({ slot }, i) => slot.adopt(results[i]!)))
    for (const { slot } of group) copied(slot)
  })
}

/** Has threads hash what an earlier run wrote: slots with their content become complete, the others empty. */
export async function recheckSlots(slots: readonly Slot[], pool: HashPool): Promise<void> {
  const present = slots.map(slot => ({ slot, from: [slot.extent] }))
  await inThreads(present, pool, async group => {
    const results = await pool.hashEach(group)
    await Promise.all(group.map(({ slot }, i) => slot.adopt(results[i]!)))
  })
}

/** Returns whether threads do this sooner than one thread, which needs not start any. */
export function isWorthThreads(copies: readonly SlotCopy[]): boolean {
  const bytes = copies.reduce((sum, { slot }) => sum + slot.descriptor.size, 0)
  return bytes >= worthThreads.bytes || copies.length >= worthThreads.pieces
}

/** Waits for all, also where one throws: a thread that still writes needs the open file. */
async function inThreads(
  copies: readonly SlotCopy[],
  pool: HashPool,
  request: (group: readonly SlotCopy[]) => Promise<void>,
): Promise<void> {
  // the threads always have a next request, and no more than these are in memory
  const limit = pLimit(2 * pool.size)
  const results = await Promise.allSettled([...groups(copies)].map(group => limit(request, group)))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

function* groups(copies: readonly SlotCopy[]): Generator<SlotCopy[]> {
  let group: SlotCopy[] = []
  let bytes = 0
  for (const copy of copies) {
    group.push(copy)
    bytes += copy.slot.descriptor.size
    if (bytes < requestSize && group.length < requestPieces) continue
    yield group
    group = []
    bytes = 0
  }
  if (group.length > 0) yield group
}
