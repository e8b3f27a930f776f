import type { Descriptor } from '../../core/descriptor.ts'

/** One binary package of the index, as far as resolving needs it. Relationship fields are unparsed. */
export interface Candidate {
  readonly name: string
  readonly version: string
  /** `amd64`, `all`, … */
  readonly architecture: string
  /** index into the request's sources: the first that has it */
  readonly source: number
  /** further sources that have the very same file */
  alsoIn?: number[]
  readonly component: string
  readonly filename: string
  readonly size: number /* bytes */
  readonly sha256: string /* hex */
  readonly essential: boolean
  /** `Important` or `Protected`: apt does not remove it */
  readonly important?: true | undefined
  /** smaller is more important: required 1 … extra 5; 0 where the stanza gives none */
  readonly priority: number
  /** `Phased-Update-Percentage`, where it is less than 100 */
  readonly phased?: number | undefined
  /** `Source` as written, where its name or version is another one: `glibc (2.36-9)` */
  readonly builtFrom?: string | undefined
  readonly multiArch?: 'same' | 'foreign' | 'allowed' | undefined
  readonly preDepends?: string | undefined
  readonly depends?: string | undefined
  readonly recommends?: string | undefined
  readonly provides?: string | undefined
  readonly conflicts?: string | undefined
  readonly breaks?: string | undefined
  readonly suggests?: string | undefined
  /** the unpacked index and the place of the stanza in it */
  readonly stanza: { index: Descriptor; offset: number; length: number }
}
