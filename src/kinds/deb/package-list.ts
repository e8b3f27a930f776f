import type { Descriptor } from '../../core/descriptor.ts'
import type { Candidate } from './candidate.ts'
import { findName } from './name-table.ts'
import { type PackageTable, type TableField, tableFields } from './package-table.ts'

/** The packages of one index that a machine can install. Candidates are made when they are looked at, each once. */
export class PackageList {
  readonly #table: PackageTable
  readonly #text: Buffer
  readonly #from: Pick<Candidate, 'source' | 'component'> & { index: Descriptor }
  readonly #architecture: string
  readonly #candidates = new Map<number, Candidate>()

  constructor(
    table: PackageTable,
    { architecture, ...from }: { source: number; component: string; index: Descriptor; architecture: string },
  ) {
    this.#table = table
    this.#text = Buffer.from(table.text.buffer, table.text.byteOffset, table.text.length)
    this.#architecture = architecture
    this.#from = from
  }

  get source(): number {
    return this.#from.source
  }

  /** The versions of a package, in the order of the index. */
  versionsOf(name: string): Candidate[] {
    const { firstRows, rows } = this.#table
    return this.#candidatesOf(name, { first: firstRows, entries: rows })
  }

  /** The versions that mention the name in Provides, in the order of the index. */
  providersOf(name: string): Candidate[] {
    const { firstProviders, providers } = this.#table
    return this.#candidatesOf(name, { first: firstProviders, entries: providers })
  }

  #candidatesOf(name: string, { first, entries }: { first: Uint32Array; entries: Uint32Array }): Candidate[] {
    const number = findName(name, this.#table)
    if (number < 0) return []
    const found: Candidate[] = []
    for (let i = first[number]!; i < first[number + 1]!; i++) {
      const candidate = this.#candidate(entries[i]!)
      // a package may provide several versions of one name
      if (candidate !== found.at(-1)) found.push(candidate)
    }
    return found
  }

  /**
   * When apt's cache meets the name of a package in this index, in a stanza or in a relationship; undefined for never. In stanzas of
   * `all` and of the machine's own architecture, names are those of packages of that architecture.
   */
  metAt({ name, architecture }: { name: string; architecture: string }, native: string): number | undefined {
    const number = findName(name, this.#table)
    if (number < 0) return undefined
    const inAll = architecture === native ? this.#table.metInAll[number]! : 0
    const inOwn = architecture === this.#architecture ? this.#table.metInOwn[number]! : 0
    return inAll > 0 && inOwn > 0 ? Math.min(inAll, inOwn) : inAll || inOwn || undefined
  }

  /** All candidates. They are not kept: of an index of 60,000, few are needed again. */
  *all(): Generator<Candidate> {
    for (let row = 0; row < this.#table.offsets.length; row++)
      yield this.#candidates.get(row) ?? this.#make(row)
  }

  /** The candidates that the base system may contain: essential, or of one of the `least` most important priorities. */
  *basic(least: number): Generator<Candidate> {
    const [essential, priority] = [tableFields.indexOf('essential'), tableFields.indexOf('priority')]
    for (let row = 0; row < this.#table.offsets.length; row++) {
      const rank = priorityOf(this.#value(row, priority))
      if (this.#value(row, essential) === 'yes' || (rank >= 1 && rank <= least)) yield this.#candidate(row)
    }
  }

  *names(): Generator<string> {
    for (let row = 0; row < this.#table.offsets.length; row++) yield this.#value(row, 0)!
  }

  #candidate(row: number): Candidate {
    const known = this.#candidates.get(row)
    if (known !== undefined) return known
    const made = this.#make(row)
    this.#candidates.set(row, made)
    return made
  }

  #make(row: number): Candidate {
    const { firstValues, valueFields, offsets, lengths } = this.#table
    const stanza: Fields = {}
    for (let i = firstValues[row]!; i < firstValues[row + 1]!; i++)
      stanza[tableFields[valueFields[i]!]!] = this.#valueAt(i)
    return toCandidate(stanza, { ...this.#from, offset: offsets[row]!, length: lengths[row]! })
  }

  #value(row: number, field: number): string | undefined {
    const { firstValues, valueFields } = this.#table
    for (let i = firstValues[row]!; i < firstValues[row + 1]!; i++)
      if (valueFields[i] === field) return this.#valueAt(i)
    return undefined
  }

  #valueAt(i: number): string {
    const { valueEnds } = this.#table
    return this.#text.toString('latin1', i === 0 ? 0 : valueEnds[i - 1]!, valueEnds[i]!)
  }
}

type Fields = { [Name in TableField]?: string }

const priorities = ['required', 'important', 'standard', 'optional', 'extra']

/** As in apt: a missing priority ranks before all others, an unknown one is `extra`. */
function priorityOf(text: string | undefined): number {
  if (text === undefined) return 0
  return priorities.indexOf(text) + 1 || priorities.length
}

function toCandidate(
  stanza: Fields,
  {
    index,
    offset,
    length,
    source,
    component,
  }: { index: Descriptor; offset: number; length: number; source: number; component: string },
): Candidate {
  const multiArch = stanza['multi-arch']
  const candidate: Candidate = {
    name: stanza.package ?? '',
    version: stanza.version ?? '',
    architecture: stanza.architecture ?? '',
    source,
    component,
    filename: stanza.filename ?? '',
    size: /^[0-9]{1,15}$/.test(stanza.size ?? '') ? Number(stanza.size) : -1,
    sha256: stanza['sha256']?.toLowerCase() ?? '',
    essential: stanza.essential === 'yes',
    priority: priorityOf(stanza.priority),
    stanza: { index, offset, length },
  }
  if (multiArch === 'same' || multiArch === 'foreign' || multiArch === 'allowed')
    candidate.multiArch = multiArch
  if (stanza.important === 'yes' || stanza.protected === 'yes') candidate.important = true
  if (stanza.source) candidate.builtFrom = stanza.source
  const phased = stanza['phased-update-percentage']
  if (phased !== undefined && /^[0-9]{1,2}$/.test(phased)) candidate.phased = Number(phased)
  if (stanza['pre-depends']) candidate.preDepends = stanza['pre-depends']
  if (stanza.depends) candidate.depends = stanza.depends
  if (stanza.recommends) candidate.recommends = stanza.recommends
  if (stanza.provides) candidate.provides = stanza.provides
  if (stanza.conflicts) candidate.conflicts = stanza.conflicts
  if (stanza.breaks) candidate.breaks = stanza.breaks
  if (stanza.suggests) candidate.suggests = stanza.suggests
  return candidate
}
