/** Bytes that are sent next. */
export interface Piece {
  bytes: Uint8Array
  /** called once they are sent, or never will be */
  done(): void
}

/** Buffers for pieces of content; all answers in flight share one budget of memory. */
export interface PieceBuffers {
  /** Returns a buffer of at most `wanted` bytes: smaller ones while many answers are in flight. Belongs to the caller until `give`. */
  take(wanted: number): Buffer
  /** Takes back what `take` returned, once nothing reads or writes it. */
  give(buffer: Buffer): void
}

/** Reads of 64 KiB cost two thirds more than reads of this size; larger ones cost no less, and more memory. */
const largest = 256 << 10 /* bytes */
const smallest = 32 << 10 /* bytes */
/** of all answers in flight together, in addition to the two smallest buffers that each always gets */
const defaultBudget = 32 << 20 /* bytes */

/** New memory for each piece would cost a third of the time that it takes to send one: the kernel clears its pages. */
export function pieceBuffers(budget = defaultBudget /* bytes */): PieceBuffers {
  /** unused ones by size */
  const free = new Map<number, Buffer[]>()
  let held = 0
  let kept = 0

  /** A small share of what is left: slow clients with large buffers leave small ones for others, and a few fast clients get large ones. */
  function shareOf(): number {
    const share = (budget - held) / 32
    let size = largest
    while (size > smallest && size > share) size /= 2
    return size
  }

  return {
    take(wanted) {
      const share = shareOf()
      let size = smallest
      while (size < Math.min(wanted, share)) size *= 2
      held += size
      const used = free.get(size)?.pop()
      if (used !== undefined) kept -= size
      const buffer = used ?? Buffer.allocUnsafeSlow(size)
      return wanted < size ? buffer.subarray(0, wanted) : buffer
    },
    give({ buffer }) {
      const size = buffer.byteLength
      held -= size
      if (kept + size > budget) return
      kept += size
      const unused = free.get(size) ?? []
      unused.push(Buffer.from(buffer))
      free.set(size, unused)
    },
  }
}
