import type { ReadableStore } from '../content/store.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'

/** Reads content in pieces; all answers in flight share one budget of memory. */
export interface PieceReader {
  /** Reads one piece whole. Throws SIZE_MISMATCH if the content is shorter, and what the store throws. */
  read(descriptor: Descriptor, piece: ByteRange): Promise<Uint8Array>
  /** Reads a range in pieces; all but the first and the last begin and end at multiples of `unit`. */
  pieces(
    descriptor: Descriptor,
    options: { range: ByteRange; account: Account; unit?: number },
  ): AsyncGenerator<Uint8Array>
  /** Counts memory that an answer takes, or frees (negative). */
  hold(account: Account, bytes: number): void
  /** Frees what the work held, whether it succeeds or fails. */
  accounted<T>(work: (account: Account) => Promise<T>): Promise<T>
}

/** Bytes that one answer holds in memory. */
export interface Account {
  held: number
}

export const largestPiece = 1 << 20 /* bytes; reads of 64 KiB make a server three times slower */
const smallestPiece = 32 << 10 /* bytes */
/** of all answers in flight together, in addition to the two smallest pieces that each always gets */
const memoryBudget = 48 << 20 /* bytes */
/** With more answers in flight, the next piece is not read ahead: other answers keep the disk busy. */
const maxReadingAhead = 16

export function pieceReader(store: ReadableStore): PieceReader {
  const accounts = new Set<Account>()
  let held = 0

  function hold(account: Account, bytes: number): void {
    account.held += bytes
    held += bytes
  }

  /**
   * Returns a small share of the remaining budget: slow clients with large pieces leave small ones for others, and a few fast clients
   * get large pieces.
   */
  function pieceSize(): number {
    const share = Math.floor((memoryBudget - held) / 32)
    return Math.max(smallestPiece, Math.min(largestPiece, share))
  }

  async function read(descriptor: Descriptor, piece: ByteRange): Promise<Uint8Array> {
    const length = piece.end - piece.start
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of (await store.open(descriptor, piece)) as AsyncIterable<Uint8Array>) {
      chunks.push(chunk)
      size += chunk.length
    }
    const [only] = chunks
    if (size === length) return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, size)
    throw new AirgapError('SIZE_MISMATCH', `the content is ${size} bytes long; ${length} were expected`, {
      item: descriptor.digest,
      likely: 'the bundle was truncated or replaced while it was served',
      next: 'run `offline-deploy verify` on the bundle',
    })
  }

  /** With few answers in flight, the next piece is read while the last one is hashed and sent. */
  async function* pieces(
    descriptor: Descriptor,
    { range, account, unit = 1 }: { range: ByteRange; account: Account; unit?: number },
  ): AsyncGenerator<Uint8Array> {
    let position = range.start
    const next = () => {
      const end = Math.floor((position + Math.max(unit, pieceSize())) / unit) * unit
      const piece = { start: position, end: Math.min(end, range.end) }
      hold(account, piece.end - piece.start)
      position = piece.end
      const bytes = read(descriptor, piece)
      // thrown when this piece is awaited; an unhandled rejection would end the process
      bytes.catch(() => {})
      return bytes
    }
    let ahead: Promise<Uint8Array> | undefined
    while (ahead !== undefined || position < range.end) {
      const bytes: Uint8Array = await (ahead ?? next())
      ahead = position < range.end && accounts.size <= maxReadingAhead ? next() : undefined
      yield bytes
    }
  }

  return {
    read,
    pieces,
    hold,
    async accounted(work) {
      const account: Account = { held: 0 }
      accounts.add(account)
      try {
        return await work(account)
      } finally {
        accounts.delete(account)
        hold(account, -account.held)
      }
    },
  }
}

/**
 * Frees a piece's memory at once, as it is no longer needed: left to the garbage collector, many answers in flight hold 60 MB more and
 * are a third slower. Only if the piece is all of its buffer.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0)
}
