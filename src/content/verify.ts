import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, Hasher } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'

/** Checks bytes against a descriptor as they pass. No byte may be trusted before `finish` has returned. */
export class Verifier {
  readonly #hasher = new Hasher()
  readonly #descriptor: Descriptor
  readonly #item: string
  #received = 0

  constructor(descriptor: Descriptor, item: string = descriptor.digest) {
    this.#descriptor = descriptor
    this.#item = item
  }

  get received(): number {
    return this.#received
  }

  /** Throws SIZE_MISMATCH at the first byte too many. */
  update(chunk: Uint8Array): void {
    this.#received += chunk.length
    if (this.#received > this.#descriptor.size)
      throw wrongSize(this.#descriptor, { received: this.#received, item: this.#item })
    this.#hasher.update(chunk)
  }

  /** Throws SIZE_MISMATCH, DIGEST_MISMATCH. */
  finish(): void {
    if (this.#received !== this.#descriptor.size)
      throw wrongSize(this.#descriptor, { received: this.#received, item: this.#item })
    refuseOther(this.#descriptor, { digest: this.#hasher.digest(), item: this.#item })
  }
}

/** The error of content with more bytes, or fewer in all. */
export function wrongSize(
  { digest, size }: Descriptor,
  { received, item = digest }: { received: number; item?: string },
): AirgapError {
  const what =
    received > size
      ? `more bytes than the ${size} expected`
      : `fewer bytes than the ${size} expected (${received})`
  return new AirgapError('SIZE_MISMATCH', `the content has ${what}`, {
    item,
    likely: 'a truncated or replaced file',
    next: 'fetch it again from a source that you trust',
  })
}

/** Refuses content that has another digest than the descriptor; its size is right. Throws DIGEST_MISMATCH. */
export function refuseOther(
  descriptor: Descriptor,
  { digest, item = descriptor.digest }: { digest: Digest; item?: string },
): void {
  if (digest === descriptor.digest) return
  throw new AirgapError('DIGEST_MISMATCH', `the content has digest ${digest}, not ${descriptor.digest}`, {
    item,
    likely: 'the source is damaged or was changed, or something on the connection altered it',
    next: 'do not use it; fetch it again from a source that you trust',
  })
}

/**
 * Passes chunks on while hashing them, but holds back the last one until size and digest are right, so that a reader never
 * reaches the end of wrong content. Throws SIZE_MISMATCH, DIGEST_MISMATCH.
 */
export async function* verified(
  descriptor: Descriptor,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const verifier = new Verifier(descriptor)
  let last: Uint8Array | undefined
  for await (const chunk of chunks) {
    if (last !== undefined) yield last
    verifier.update(chunk)
    last = chunk
  }
  verifier.finish()
  if (last !== undefined) yield last
}
