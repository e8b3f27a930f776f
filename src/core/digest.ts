import { createHash, type Hash, hash } from 'node:crypto'
import { AirgapError } from './errors.ts'

/** `sha256:` and 64 lower-case hex digits (OCI image-spec, descriptor.md#digests). Only SHA-256 is used inside a bundle. */
export type Digest = `sha256:${string}`

const pattern = /^sha256:[0-9a-f]{64}$/

export function isDigest(text: string): text is Digest {
  return pattern.test(text)
}

export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw new AirgapError('REFERENCE_INVALID', 'the digest is invalid', {
    item: text.slice(0, 200),
    next: 'write it as sha256: and 64 lower-case hex digits',
  })
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${hash('sha256', bytes, 'hex')}`
}

export function digestFromHex(hex: string): Digest {
  return parseDigest(`sha256:${hex.toLowerCase()}`)
}

export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

/** An incremental SHA-256. */
export class Hasher {
  readonly #hash: Hash = createHash('sha256')

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  /** Returns the digest and ends the hash; may be called once. */
  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`
  }
}
