import type { BlockDigests } from '../../content/block-digests.ts'
import type { Columns, DerivedForm } from '../../content/derived.ts'
import type { RpmCandidate, RpmRelation } from './candidate.ts'
import type { PackageList } from './package-list.ts'
import { TextTable } from './text-table.ts'

/** The lists of relations of a package; their order is part of the table's form. */
export const relationLists = [
  'provides',
  'requires',
  'conflicts',
  'obsoletes',
  'recommends',
  'supplements',
  'suggests',
  'enhances',
] as const
export type RelationList = (typeof relationLists)[number]

/** The numbers of these texts in a table are their positions. */
export const relationFlags = ['', 'EQ', 'LT', 'LE', 'GT', 'GE'] as const

/** Texts of a package, the last one empty where absent; their order is part of the table's form. */
export const packageTexts = [
  'name',
  'epoch',
  'version',
  'release',
  'architecture',
  'checksumType',
  'checksum',
  'location',
  'base',
] as const
/** Numbers of a package; their order is part of the table's form. */
export const packageNumbers = ['size', 'headerStart', 'headerEnd', 'offset', 'length'] as const
/** of a relation: name, position in `relationFlags`, then epoch, version and release, 0 where absent, otherwise number + 1 */
export const relationWidth = 5

/** primary.xml as resolving uses it: nothing is parsed to look a package up. A row is a package that the machines can install. */
export const packageTableForm = {
  kind: 'rpm-packages',
  version: 1,
  columns: {
    texts: 'u8',
    textStarts: 'u32',
    textSlots: 'u32',
    /** `packageTexts` of each row, as numbers of texts */
    rows: 'u32',
    /** `packageNumbers` of each row */
    numbers: 'f64',
    /** of primary.xml (`BlockDigests`) */
    blocks: 'u8',
    /** `relationWidth` numbers of each */
    relations: 'u32',
    /** where each of the `relationLists` of each row starts, counted in relations, and the end of the last */
    relationStarts: 'u32',
    /** numbers of texts */
    files: 'u32',
    fileStarts: 'u32',
  },
} as const satisfies DerivedForm<Record<string, 'u8' | 'u16' | 'u32' | 'f64'>>
export type PackageColumns = Columns<typeof packageTableForm.columns>

/** The packages of one repository, made when they are asked for. */
export class PackageTable implements PackageList {
  readonly length: number
  readonly #columns: PackageColumns
  readonly #texts: TextTable
  readonly #repository: number
  readonly #candidates: (RpmCandidate | undefined)[] = []
  readonly #positions = new Map<RpmCandidate, number>()
  #byName: Index | undefined
  #byProvides: Index | undefined
  #byFile: Index | undefined
  #byObsoletes: Index | undefined
  #byChecksum: Map<string, number> | undefined

  /** `repository` is the index of the repository in the request. */
  constructor(columns: PackageColumns, { repository, item }: { repository: number; item: string }) {
    this.#columns = columns
    this.#texts = TextTable.from(columns, item)
    this.#repository = repository
    this.length = columns.rows.length / packageTexts.length
  }

  candidate(at: number): RpmCandidate {
    const known = this.#candidates[at]
    if (known !== undefined) return known
    const made = this.#make(at)
    this.#candidates[at] = made
    this.#positions.set(made, at)
    return made
  }

  positionOf(candidate: RpmCandidate): number {
    return this.#positions.get(candidate) ?? -1
  }

  nameAt(at: number): string {
    return this.#rowText(at, 0)
  }

  architectureAt(at: number): string {
    return this.#rowText(at, packageTexts.indexOf('architecture'))
  }

  named(name: string): Iterable<number> {
    this.#byName ??= indexOf(this.#texts.count, add => {
      for (let at = 0; at < this.length; at++) add(this.#columns.rows[at * packageTexts.length]!, at)
    })
    return this.#find(this.#byName, name)
  }

  providing(name: string): Iterable<number> {
    this.#byProvides ??= indexOf(this.#texts.count, add => {
      for (let at = 0; at < this.length; at++) {
        // libsolv adds it where a package does not provide its own name
        add(this.#columns.rows[at * packageTexts.length]!, at)
        this.#eachName(at, 'provides', add)
      }
    })
    return this.#find(this.#byProvides, name)
  }

  owning(path: string): Iterable<number> {
    this.#byFile ??= indexOf(this.#texts.count, add => {
      const { files, fileStarts } = this.#columns
      for (let at = 0; at < this.length; at++)
        for (let i = fileStarts[at]!; i < fileStarts[at + 1]!; i++) add(files[i]!, at)
    })
    return this.#find(this.#byFile, path)
  }

  obsoleting(name: string): Iterable<number> {
    this.#byObsoletes ??= indexOf(this.#texts.count, add => {
      for (let at = 0; at < this.length; at++) this.#eachName(at, 'obsoletes', add)
    })
    return this.#find(this.#byObsoletes, name)
  }

  *supplementing(): Iterable<number> {
    for (let at = 0; at < this.length; at++) {
      const { start, end } = this.#listOf(at, 'supplements')
      if (end > start) yield at
    }
  }

  /** Returns the package that has a checksum, as primary.xml writes it; the last of several. */
  withChecksum(hex: string): RpmCandidate | undefined {
    this.#byChecksum ??= new Map(
      Array.from(
        { length: this.length },
        (_, at) => [this.#rowText(at, packageTexts.indexOf('checksum')), at] as const,
      ),
    )
    const at = this.#byChecksum.get(hex)
    return at === undefined ? undefined : this.candidate(at)
  }

  /** of primary.xml */
  get blocks(): BlockDigests {
    return this.#columns.blocks
  }

  #find({ starts, entries }: Index, text: string): Uint32Array {
    const number = this.#texts.find(text)
    return number < 0 ? entries.subarray(0, 0) : entries.subarray(starts[number]!, starts[number + 1]!)
  }

  #rowText(at: number, column: number): string {
    return this.#texts.text(this.#columns.rows[at * packageTexts.length + column]!)
  }

  #listOf(at: number, list: RelationList): { start: number; end: number } {
    const place = at * relationLists.length + relationLists.indexOf(list)
    const { relationStarts } = this.#columns
    return { start: relationStarts[place]!, end: relationStarts[place + 1]! }
  }

  #eachName(at: number, list: RelationList, add: (number: number, at: number) => void): void {
    const { start, end } = this.#listOf(at, list)
    for (let i = start; i < end; i++) add(this.#columns.relations[i * relationWidth]!, at)
  }

  #make(at: number): RpmCandidate {
    const [name, epoch, version, release, architecture, type, hex, location, base] = packageTexts.map(
      (_, i) => this.#rowText(at, i),
    ) as [string, string, string, string, string, string, string, string, string]
    const { numbers, files, fileStarts } = this.#columns
    const numberOf = (column: number) => numbers[at * packageNumbers.length + column]!
    const [size, start, end, offset, length] = [0, 1, 2, 3, 4].map(numberOf) as [
      number,
      number,
      number,
      number,
      number,
    ]
    const candidate: RpmCandidate = {
      name,
      epoch,
      version,
      release,
      architecture,
      repository: this.#repository,
      location,
      size,
      checksum: { type, hex },
      headerRange: { start, end },
      provides: this.#relations(at, 'provides'),
      requires: this.#relations(at, 'requires'),
      conflicts: this.#relations(at, 'conflicts'),
      obsoletes: this.#relations(at, 'obsoletes'),
      recommends: this.#relations(at, 'recommends'),
      supplements: this.#relations(at, 'supplements'),
      suggests: this.#relations(at, 'suggests'),
      enhances: this.#relations(at, 'enhances'),
      files: Array.from(files.subarray(fileStarts[at]!, fileStarts[at + 1]!), file => this.#texts.text(file)),
      primary: { offset, length },
    }
    if (base !== '') candidate.base = base
    return candidate
  }

  #relations(at: number, list: RelationList): RpmRelation[] {
    const { start, end } = this.#listOf(at, list)
    const { relations } = this.#columns
    const found: RpmRelation[] = []
    for (let i = start; i < end; i++) {
      const own = i * relationWidth
      const relation: RpmRelation = { name: this.#texts.text(relations[own]!) }
      const flags = relationFlags[relations[own + 1]!]
      if (flags !== undefined && flags !== '') relation.flags = flags
      if (relations[own + 2]! > 0) relation.epoch = this.#texts.text(relations[own + 2]! - 1)
      if (relations[own + 3]! > 0) relation.version = this.#texts.text(relations[own + 3]! - 1)
      if (relations[own + 4]! > 0) relation.release = this.#texts.text(relations[own + 4]! - 1)
      found.push(relation)
    }
    return found
  }
}

/** Rows by text: those of text `n` are `entries` from `starts[n]` to `starts[n + 1]`. */
interface Index {
  starts: Uint32Array
  entries: Uint32Array
}

/** `each` adds the rows in ascending order, twice the same; a row counts once for each text. */
function indexOf(count: number, each: (add: (text: number, row: number) => void) => void): Index {
  const starts = new Uint32Array(count + 1)
  const last = new Uint32Array(count)
  const isNew = (text: number, row: number) => last[text] !== row + 1 && (last[text] = row + 1) > 0
  each((text, row) => {
    if (isNew(text, row)) starts[text + 1]!++
  })
  for (let text = 0; text < count; text++) starts[text + 1]! += starts[text]!
  const next = starts.slice()
  const entries = new Uint32Array(starts[count]!)
  last.fill(0)
  each((text, row) => {
    if (isNew(text, row)) entries[next[text]!++] = row
  })
  return { starts, entries }
}
