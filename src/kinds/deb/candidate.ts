import type { Descriptor } from '../../core/descriptor.ts'

/** One binary package of the index, as far as resolving needs it. Relationship fields are unparsed. */
export interface Candidate {
  name: string
  version: string
  /** `amd64`, `all`, … */
  architecture: string
  /** index into the request's sources */
  source: number
  component: string
  filename: string
  size: number /* bytes */
  sha256: string /* hex */
  essential: boolean
  /** smaller is more important: required 1 … extra 5 */
  priority: number
  multiArch?: 'same' | 'foreign' | 'allowed'
  preDepends?: string
  depends?: string
  recommends?: string
  provides?: string
  conflicts?: string
  breaks?: string
  /** read for the order in which names come up, apt's last tie-break */
  suggests?: string
  replaces?: string
  enhances?: string
  /** the unpacked index and the place of the stanza in it */
  stanza: { index: Descriptor; offset: number; length: number }
}
