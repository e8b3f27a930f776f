import type { Digest } from '../core/digest.ts'
import type { SignedBy } from './signed-by.ts'

/** A signature as the registry has it; nothing of it is believed yet. `name` is the digest or the tag that it was found by. */
export type FoundSignature =
  | {
      format: 'simple-signing'
      name: string
      payload: Buffer
      signature: Buffer
      /** PEM and JSON of a keyless signature */
      certificate?: string
      rekorBundle?: string
      timestamp?: string
    }
  | { format: 'sigstore-bundle'; name: string; bytes: Buffer }
  | { format: 'notation'; name: string; bytes: Buffer; envelope: string }

/** What has to be signed: the root manifest of an artifact. */
export interface SignedSubject {
  digest: Digest
  mediaType: string
  size: number
  bytes: Buffer
  /** canonical host/repository of the name that it is deployed under, and of the place that it is fetched from */
  names: readonly string[]
}

/** Whether a signature counts, or a clause that says why not. */
export type Verdict = { by: SignedBy } | { refused: string }

/** Text of a foreign document, for a message. */
export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 120))
}

export function parseJson(bytes: Uint8Array | string): unknown {
  try {
    return JSON.parse(typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}
