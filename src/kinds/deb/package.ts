import type { Candidate } from './candidate.ts'

/** A name on one architecture with all its versions; also a name that only relations mention, such as a virtual package. */
export class Package {
  readonly name: string
  /** `any` where a relation names `name:any` */
  readonly architecture: string
  /** in the order in which packages were named first */
  readonly id: number
  /** the version in the base system */
  current?: Candidate
  offers?: Offer[]
  readonly #find: (of: Package) => Candidate[]
  #versions: Candidate[] | undefined

  /** `find` returns the versions, newest first. Of most packages that relations name, nobody looks at them. */
  constructor(
    { name, architecture, id }: { name: string; architecture: string; id: number },
    find: (of: Package) => Candidate[],
  ) {
    this.name = name
    this.architecture = architecture
    this.id = id
    this.#find = find
  }

  /** newest first */
  get versions(): Candidate[] {
    this.#versions ??= this.#find(this)
    return this.#versions
  }

  get essential(): boolean {
    return this.versions.some(one => one.essential)
  }

  get important(): boolean {
    return this.versions.some(one => one.important)
  }
}

/** A version of another package that provides this name. */
export interface Offer {
  candidate: Candidate
  owner: Package
  /** undefined where the Provides is unversioned: it satisfies no versioned relation (policy 7.5) */
  version: string | undefined
  /** `Provides: name:i386` */
  qualified: boolean
}
