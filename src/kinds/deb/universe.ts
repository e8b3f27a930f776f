import { compareText } from '../../core/canonical-json.ts'
import type { Candidate } from './candidate.ts'
import { type Alternatives, parseRelations, type Relation, satisfiesVersion } from './relation.ts'
import { compareVersions } from './version.ts'

/** What a package offers under a name: its own, or one of its Provides with the version given there. */
interface Offer {
  candidate: Candidate
  /** undefined where an unversioned Provides */
  version: string | undefined
  /** under its own name */
  real: boolean
}

/** All packages of one architecture: which one a name means, and who else answers to it. */
export class Universe {
  readonly architecture: string
  readonly #versions = new Map<string, Candidate[]>()
  readonly #chosen = new Map<string, Candidate>()
  /** by Provides only: an offer of its own for each of 60,000 packages would cost memory for nothing */
  readonly #provided = new Map<string, Offer[]>()
  readonly #candidates: Candidate[]
  #order: Map<string, number> | undefined

  /** `pins`: package → the one version that counts; the others take part in nothing. */
  constructor(candidates: Candidate[], options: { architecture: string; pins: Map<string, string> }) {
    this.architecture = options.architecture
    this.#candidates = candidates
    for (const candidate of candidates) {
      const others = this.#versions.get(candidate.name)
      if (others) others.push(candidate)
      else this.#versions.set(candidate.name, [candidate])
    }
    for (const [name, versions] of this.#versions) {
      const pin = options.pins.get(name)
      const chosen =
        pin === undefined
          ? newest(versions)
          : versions.find(candidate => compareVersions(candidate.version, pin) === 0)
      if (chosen) this.#add(chosen)
    }
  }

  #add(candidate: Candidate): void {
    this.#chosen.set(candidate.name, candidate)
    for (const { name, version } of providesOf(candidate)) {
      const offer = { candidate, version, real: false }
      const others = this.#provided.get(name)
      if (others) others.push(offer)
      else this.#provided.set(name, [offer])
    }
  }

  #offersOf(name: string): Offer[] {
    const candidate = this.#chosen.get(name)
    const provided = this.#provided.get(name) ?? []
    return candidate ? [{ candidate, version: candidate.version, real: true }, ...provided] : provided
  }

  /** The version of a package that would be installed. */
  get(name: string): Candidate | undefined {
    return this.#chosen.get(name)
  }

  /** Every version the archive has, newest first. */
  versions(name: string): Candidate[] {
    return [...(this.#versions.get(name) ?? [])].sort((a, b) => compareVersions(b.version, a.version))
  }

  names(): Iterable<string> {
    return this.#versions.keys()
  }

  /** Every package that answers to the name of the relation, whether or not its version does. */
  offers(relation: Relation): Candidate[] {
    return [...new Set(this.#offersOf(relation.name).map(offer => offer.candidate))]
  }

  /** Packages that satisfy the relation, in apt's order of preference: the package itself, then its providers. */
  satisfying(relation: Relation): Candidate[] {
    const good = this.#offersOf(relation.name).filter(offer => this.#fits(relation, offer))
    good.sort(
      (a, b) =>
        Number(b.real) - Number(a.real) ||
        Number(b.candidate.essential) - Number(a.candidate.essential) ||
        a.candidate.priority - b.candidate.priority ||
        this.#place(b.candidate.name) - this.#place(a.candidate.name) ||
        compareText(b.candidate.name, a.candidate.name),
    )
    return [...new Set(good.map(offer => offer.candidate))]
  }

  /** Where a name first comes up in the indexes; built only where two providers are equal in all else. */
  #place(name: string): number {
    this.#order ??= orderOfNames(this.#candidates)
    return this.#order.get(name) ?? -1
  }

  /** Whether this very package is one that the relation means. */
  satisfies(candidate: Candidate, relation: Relation): boolean {
    return this.#offersOf(relation.name).some(
      offer => offer.candidate === candidate && this.#fits(relation, offer),
    )
  }

  #fits(relation: Relation, offer: Offer): boolean {
    return this.#isForUs(relation, offer) && offersVersion(relation, offer.version)
  }

  /** Debian's MultiarchSpec: `:any` asks for `Multi-Arch: allowed`; an architecture means just that one. */
  #isForUs(relation: Relation, { candidate }: Offer): boolean {
    switch (relation.qualifier) {
      case undefined:
      case 'native':
      case this.architecture:
        return true
      case 'any':
        return candidate.multiArch === 'allowed'
      case 'all':
        return candidate.architecture === 'all'
      default:
        return false
    }
  }
}

/** Policy 7.5: an unversioned Provides satisfies no versioned relation. */
function offersVersion(relation: Relation, version: string | undefined): boolean {
  return version === undefined ? relation.operator === undefined : satisfiesVersion(relation, version)
}

function newest(versions: Candidate[]): Candidate | undefined {
  return versions.reduce<Candidate | undefined>(
    (best, candidate) => (best && compareVersions(best.version, candidate.version) >= 0 ? best : candidate),
    undefined,
  )
}

/**
 * apt numbers packages as their names come up, as a stanza or in a relation of another one, and between equal providers
 * takes the one numbered last. Nobody would design it so, but the site's apt decides alike.
 */
function orderOfNames(candidates: Candidate[]): Map<string, number> {
  const order = new Map<string, number>()
  const add = (name: string) => {
    if (!order.has(name)) order.set(name, order.size)
  }
  for (const candidate of candidates) {
    add(candidate.name)
    for (const field of [
      candidate.preDepends,
      candidate.depends,
      candidate.conflicts,
      candidate.breaks,
      candidate.recommends,
      candidate.suggests,
      candidate.replaces,
      candidate.enhances,
      candidate.provides,
    ]) {
      if (field === undefined) continue
      // a name with an architecture (`python3:any`) is another package to apt
      for (const match of field.matchAll(/(?:^|[,|])\s*([a-zA-Z0-9][a-zA-Z0-9+._-]*)(?![a-zA-Z0-9+._:-])/g))
        add(match[1]!)
    }
  }
  return order
}

/** Names that the package answers to besides its own; a version only where it is `(= x)` (policy 7.5). */
export function providesOf(candidate: Candidate): { name: string; version: string | undefined }[] {
  if (candidate.provides === undefined) return []
  return parseRelations(candidate.provides, itemOf(candidate)).flatMap(group =>
    group.map(({ name, operator, version }) => ({ name, version: operator === '=' ? version : undefined })),
  )
}

/** What has to be installed too, in the order in which apt looks at it. */
export function dependenciesOf(candidate: Candidate): Alternatives[] {
  return [candidate.preDepends, candidate.depends].flatMap(field => parseField(candidate, field))
}

export function recommendsOf(candidate: Candidate): Alternatives[] {
  return parseField(candidate, candidate.recommends)
}

/** Conflicts and Breaks: what may not be installed beside it (policy 7.3, 7.4). */
export function negativesOf(candidate: Candidate): Relation[] {
  return [candidate.conflicts, candidate.breaks].flatMap(field => parseField(candidate, field)).flat()
}

function parseField(candidate: Candidate, field: string | undefined): Alternatives[] {
  return field === undefined ? [] : parseRelations(field, itemOf(candidate))
}

export function itemOf(candidate: Candidate): string {
  return `${candidate.name} ${candidate.version} ${candidate.architecture}`
}
