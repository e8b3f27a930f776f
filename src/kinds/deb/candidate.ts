import type { Descriptor } from '../../core/descriptor.ts'

/** One binary package of the index, as far as resolving needs it. Relationship fields are unparsed. */
export interface Candidate {
  name: string
  version: string
  /** `amd64`, `all`, … */
  architecture: string
  /** index into the request's sources: the first that has it */
  source: number
  /** further sources that have the very same file */
  alsoIn?: number[]
  component: string
  filename: string
  size: number /* bytes */
  sha256: string /* hex */
  essential: boolean
  /** `Important` or `Protected`: apt does not remove it */
  important?: true
  /** smaller is more important: required 1 … extra 5; 0 where the stanza gives none */
  priority: number
  /** `Phased-Update-Percentage`, where it is less than 100 */
  phased?: number
  /** `Source` as written, where its name or version is another one: `glibc (2.36-9)` */
  builtFrom?: string
  multiArch?: 'same' | 'foreign' | 'allowed'
  preDepends?: string
  depends?: string
  recommends?: string
  provides?: string
  conflicts?: string
  breaks?: string
  suggests?: string
  /** the unpacked index and the place of the stanza in it */
  stanza: { index: Descriptor; offset: number; length: number }
}
