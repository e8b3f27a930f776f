import type { Columns, DerivedForm } from '../../content/derived.ts'
import { AirgapError } from '../../core/errors.ts'
import { groupByKey, NumberList } from '../number-list.ts'
import { type StanzaPlace, StanzaScanner } from './control.ts'
import { NameTableBuilder } from './name-table.ts'

/** Relationships, in the order in which apt reads them: it decides between equal providers by the order in which it met their names. */
const relationFields = [
  'pre-depends',
  'depends',
  'conflicts',
  'breaks',
  'recommends',
  'suggests',
  'replaces',
  'enhances',
  'provides',
] as const

/** The fields that resolving reads. Their order is part of the table's form. */
export const tableFields = [
  'package',
  'version',
  'architecture',
  'filename',
  'size',
  'sha256',
  'essential',
  'priority',
  'multi-arch',
  'important',
  'protected',
  'source',
  'phased-update-percentage',
  ...relationFields,
] as const
export type TableField = (typeof tableFields)[number]

const fieldOf = (name: TableField) => tableFields.indexOf(name)
const [packageField, versionField, architectureField] = [0, 1, 2]
const providesField = fieldOf('provides')
const relationships = relationFields.map(fieldOf)

/**
 * A Packages file for the machines of one architecture, as resolving uses it: nothing is parsed to look a package up. A row is a stanza
 * of this architecture or of `all`; a name is that of a package, or one that a relationship mentions.
 */
export const packageTableForm = {
  kind: 'deb-packages',
  version: 1,
  columns: {
    /** latin1: the values of `tableFields`, row by row */
    text: 'u8',
    /** of each row: its stanza in the file, in bytes */
    offsets: 'u32',
    lengths: 'u32',
    /** row → its first value, with one more for the end of the last row */
    firstValues: 'u32',
    /** of each value: its field, and its end in `text`; it starts where the one before ends */
    valueFields: 'u8',
    valueEnds: 'u32',
    nameStarts: 'u32',
    nameEnds: 'u32',
    nameSlots: 'u32',
    /**
     * When apt's cache meets a name first, counted from 1, 0 for never: in a stanza of this architecture, and in one of `all`. To apt
     * these are names of different architectures where the machine has another one.
     */
    metInOwn: 'u32',
    metInAll: 'u32',
    /** name → the rows that are packages of this name, from `firstRows[name]` on */
    firstRows: 'u32',
    rows: 'u32',
    /** name → the rows that mention it in Provides */
    firstProviders: 'u32',
    providers: 'u32',
  },
} as const satisfies DerivedForm<Record<string, 'u8' | 'u32'>>
export type PackageTable = Columns<(typeof packageTableForm)['columns']>

/** Reads a Packages file. Throws UPSTREAM_INVALID with `item`. */
export class PackageTableBuilder {
  readonly #item: string
  readonly #architecture: Buffer
  readonly #scanner: StanzaScanner
  readonly #names: NameTableBuilder
  readonly #offsets = new NumberList()
  readonly #lengths = new NumberList()
  readonly #firstValues = new NumberList()
  readonly #valueFields = new NumberList()
  readonly #valueEnds = new NumberList()
  readonly #metInOwn = new NumberList()
  readonly #metInAll = new NumberList()
  readonly #rowNames = new NumberList()
  readonly #rows = new NumberList()
  readonly #providedNames = new NumberList()
  readonly #providers = new NumberList()
  #met = 0
  /** of `text`: where the current row starts */
  #start = 0

  constructor({ architecture, item }: { architecture: string; item: string }) {
    this.#item = item
    this.#names = new NameTableBuilder(item)
    this.#architecture = Buffer.from(architecture, 'latin1')
    this.#scanner = new StanzaScanner({ wanted: tableFields, item, end: place => this.#endStanza(place) })
  }

  read(chunk: Uint8Array): void {
    this.#scanner.read(chunk)
  }

  end(): PackageTable {
    this.#scanner.end()
    this.#firstValues.push(this.#valueEnds.length)
    const { nameStarts, nameEnds, nameSlots } = this.#names.columns()
    const count = this.#names.length
    const byName = groupByKey(this.#rowNames, { values: this.#rows, count })
    const byProvided = groupByKey(this.#providedNames, { values: this.#providers, count })
    return {
      text: this.#scanner.text.subarray(0, this.#scanner.length),
      offsets: this.#offsets.toArray(),
      lengths: this.#lengths.toArray(),
      firstValues: this.#firstValues.toArray(),
      valueFields: Uint8Array.from(this.#valueFields.toArray()),
      valueEnds: this.#valueEnds.toArray(),
      nameStarts,
      nameEnds,
      nameSlots,
      metInOwn: this.#metInOwn.toArray(),
      metInAll: this.#metInAll.toArray(),
      firstRows: byName.first,
      rows: byName.entries,
      firstProviders: byProvided.first,
      providers: byProvided.entries,
    }
  }

  #endStanza({ offset, length }: StanzaPlace): void {
    const { starts, ends, present } = this.#scanner
    for (const field of [packageField, versionField, architectureField]) {
      if (ends[field]! <= starts[field]!) throw incomplete(`${this.#item} at byte ${offset}`)
    }
    const isAll = this.#is(architectureField, all)
    // an index may also list packages of other architectures
    if (!isAll && !this.#is(architectureField, this.#architecture)) {
      this.#scanner.length = this.#start
      return
    }
    const row = this.#offsets.length
    this.#offsets.push(offset)
    this.#lengths.push(length)
    this.#firstValues.push(this.#valueEnds.length)
    for (const field of present) {
      this.#valueFields.push(field)
      this.#valueEnds.push(ends[field]!)
    }
    const met = isAll ? this.#metInAll : this.#metInOwn
    const name = this.#name(starts[packageField]!, ends[packageField]!)
    this.#meet(name, met)
    this.#rowNames.push(name)
    this.#rows.push(row)
    for (const field of relationships) {
      if (starts[field]! >= 0) this.#addNames(field, { row, met })
    }
    this.#start = this.#scanner.length
  }

  #is(field: number, value: Uint8Array): boolean {
    const { text, starts, ends } = this.#scanner
    const start = starts[field]!
    if (ends[field]! - start !== value.length) return false
    for (let i = 0; i < value.length; i++) if (text[start + i] !== value[i]) return false
    return true
  }

  #name(start: number, end: number): number {
    const name = this.#names.numberOf(this.#scanner.text, start, end)
    if (name === this.#metInOwn.length) {
      this.#metInOwn.push(0)
      this.#metInAll.push(0)
    }
    return name
  }

  #meet(name: number, met: NumberList): void {
    if (met.at(name) === 0) met.set(name, ++this.#met)
  }

  /** The names in a relationship field. A hand-written scanner, because these fields are most of an index's text. */
  #addNames(field: number, { row, met }: { row: number; met: NumberList }): void {
    const { text, starts, ends } = this.#scanner
    const end = ends[field]!
    let at = starts[field]!
    while (at < end) {
      while (at < end && isName[text[at]!] === 0) at++
      const start = at
      while (at < end && isName[text[at]!] === 1) at++
      // to apt, a name with an architecture (`python3:any`) is another package
      const isPlain = at === end || text[at] !== colon
      if (at > start && (isPlain || field === providesField)) {
        const name = this.#name(start, at)
        if (isPlain) this.#meet(name, met)
        if (field === providesField) {
          this.#providedNames.push(name)
          this.#providers.push(row)
        }
      }
      while (at < end && text[at] !== comma && text[at] !== bar) at++
    }
  }
}

const all = Buffer.from('all')
const [colon, comma, bar] = [0x3a, 0x2c, 0x7c]
/** Policy 5.6.1, as lenient as relation.ts: letters, digits, `+ - . _` */
const isName = Uint8Array.from({ length: 256 }, (_, code) =>
  Number(/[a-zA-Z0-9+._-]/.test(String.fromCharCode(code))),
)

function incomplete(item: string): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', 'a stanza lacks Package, Version or Architecture', {
    item,
    likely: 'an archive made with broken tools',
    next: 'report it to the maintainers of the archive',
  })
}
