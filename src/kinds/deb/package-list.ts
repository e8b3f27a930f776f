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
    const { offsets, lengths } = this.#table
    const { source, component, index } = this.#from
    const stanza = { index, offset: offsets[row]!, length: lengths[row]! }
    return new Row({ source, component, stanza }, field => this.#value(row, fieldNumbers[field]))
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

const fieldNumbers = Object.fromEntries(tableFields.map((name, i) => [name, i])) as Record<TableField, number>

const priorities = ['required', 'important', 'standard', 'optional', 'extra']

/** As in apt: a missing priority ranks before all others, an unknown one is `extra`. */
function priorityOf(text: string | undefined): number {
  if (text === undefined) return 0
  return priorities.indexOf(text) + 1 || priorities.length
}

/** A candidate whose relationships are decoded when they are read: of most, only name and version matter. */
class Row implements Candidate {
  readonly name: string
  readonly version: string
  readonly architecture: string
  readonly source: number
  readonly component: string
  readonly stanza: Candidate['stanza']
  alsoIn?: number[]
  readonly #value: (field: TableField) => string | undefined

  constructor(
    { source, component, stanza }: Pick<Candidate, 'source' | 'component' | 'stanza'>,
    value: (field: TableField) => string | undefined,
  ) {
    this.name = value('package') ?? ''
    this.version = value('version') ?? ''
    this.architecture = value('architecture') ?? ''
    this.source = source
    this.component = component
    this.stanza = stanza
    this.#value = value
  }

  get filename() {
    return this.#value('filename') ?? ''
  }
  get size() {
    const text = this.#value('size') ?? ''
    return /^[0-9]{1,15}$/.test(text) ? Number(text) : -1
  }
  get sha256() {
    return this.#value('sha256')?.toLowerCase() ?? ''
  }
  get essential() {
    return this.#value('essential') === 'yes'
  }
  get important() {
    return this.#value('important') === 'yes' || this.#value('protected') === 'yes' || undefined
  }
  get priority() {
    return priorityOf(this.#value('priority'))
  }
  get phased() {
    const text = this.#value('phased-update-percentage')
    return text !== undefined && /^[0-9]{1,2}$/.test(text) ? Number(text) : undefined
  }
  get builtFrom() {
    return this.#value('source') || undefined
  }
  get multiArch() {
    const text = this.#value('multi-arch')
    return text === 'same' || text === 'foreign' || text === 'allowed' ? text : undefined
  }
  get preDepends() {
    return this.#value('pre-depends') || undefined
  }
  get depends() {
    return this.#value('depends') || undefined
  }
  get recommends() {
    return this.#value('recommends') || undefined
  }
  get provides() {
    return this.#value('provides') || undefined
  }
  get conflicts() {
    return this.#value('conflicts') || undefined
  }
  get breaks() {
    return this.#value('breaks') || undefined
  }
  get suggests() {
    return this.#value('suggests') || undefined
  }
}
