import { BlockHasher } from '../../content/block-digests.ts'
import { NumberList } from '../number-list.ts'
import {
  type PackageColumns,
  packageNumbers,
  packageTexts,
  relationFlags,
  relationLists,
  relationWidth,
} from './package-table.ts'
import type { ListReader } from './repomd.ts'
import { malformed } from './strict-xml.ts'
import { TextTable } from './text-table.ts'
import { type TextForm, XmlScanner } from './xml-scanner.ts'

/** createrepo's primary.xml. */

const maxPackages = 1_000_000

/** Names of elements and attributes that have a meaning here; their positions are their numbers. */
const known = [
  'package',
  'name',
  'arch',
  'version',
  'checksum',
  'size',
  'location',
  'rpm:header-range',
  'rpm:entry',
  'file',
  ...relationLists.map(list => `rpm:${list}`),
  'epoch',
  'ver',
  'rel',
  'type',
  'href',
  'xml:base',
  'start',
  'end',
  'flags',
] as const
const numberOf = (name: (typeof known)[number]) => known.indexOf(name)
const names = {
  package: numberOf('package'),
  name: numberOf('name'),
  arch: numberOf('arch'),
  version: numberOf('version'),
  checksum: numberOf('checksum'),
  size: numberOf('size'),
  location: numberOf('location'),
  headerRange: numberOf('rpm:header-range'),
  entry: numberOf('rpm:entry'),
  file: numberOf('file'),
  firstList: numberOf('rpm:provides'),
  epoch: numberOf('epoch'),
  ver: numberOf('ver'),
  rel: numberOf('rel'),
  type: numberOf('type'),
  href: numberOf('href'),
  base: numberOf('xml:base'),
  start: numberOf('start'),
  end: numberOf('end'),
  flags: numberOf('flags'),
}
const isList = (name: number) => name >= names.firstList && name < names.firstList + relationLists.length

/** Reads the packages of the list that run on one of `architectures`, each with the place of its element. Throws UPSTREAM_INVALID. */
export class PrimaryReader implements ListReader {
  readonly #scanner: XmlScanner
  readonly #blocks = new BlockHasher()
  readonly #item: string
  readonly #architectures: ReadonlySet<string>
  readonly #texts: TextTable
  readonly #rows = new NumberList()
  readonly #numbers: number[] = []
  readonly #relations = new NumberList()
  readonly #relationStarts = new NumberList()
  readonly #files = new NumberList()
  readonly #fileStarts = new NumberList()
  #count = 0
  /** the present package: texts as numbers, in the order of the rows; numbers in theirs; relations by their lists */
  readonly #row = packageTexts.map(() => none)
  readonly #sizes = packageNumbers.map(() => -1)
  readonly #lists = relationLists.map(() => new NumberList())
  readonly #ownFiles = new NumberList()
  #inPackage = false
  /** position in `relationLists`; negative outside of them */
  #list = -1
  /** the element whose text is wanted, and its text; the element is -1 for every other */
  #element = -1
  #content = ''
  /** number of a text that came in one part; negative where it did not */
  #number = -1

  constructor({ item, architectures }: { item: string; architectures: ReadonlySet<string> }) {
    this.#item = item
    this.#architectures = architectures
    this.#texts = TextTable.of([...relationFlags, '0'], item)
    this.#relationStarts.push(0)
    this.#fileStarts.push(0)
    this.#scanner = new XmlScanner(item, {
      known,
      handlers: {
        open: name => this.#open(name),
        text: (start, end, form) => this.#text(start, end, form),
        close: name => this.#close(name),
        opaque: (start, end) => this.#opaque(start, end),
      },
    })
  }

  readonly write = (chunk: Uint8Array): void => {
    this.#blocks.update(chunk)
    this.#scanner.write(chunk)
  }

  /** Ends the list. */
  columns(): PackageColumns {
    this.#scanner.close()
    return {
      ...this.#texts.columns(),
      rows: this.#rows.toArray(),
      numbers: new Float64Array(this.#numbers),
      relations: this.#relations.toArray(),
      relationStarts: this.#relationStarts.toArray(),
      files: this.#files.toArray(),
      fileStarts: this.#fileStarts.toArray(),
      blocks: this.#blocks.digests(),
    }
  }

  #open(name: number): void {
    this.#element = -1
    const scanner = this.#scanner
    if (name >= names.firstList + relationLists.length) return
    switch (name) {
      case names.entry:
        if (this.#list >= 0) this.#addRelation()
        return
      case names.package:
        // what is between `<package ` and `</package>` travels as it is, and is separated by these texts again
        if (this.#inPackage || scanner.bytes[scanner.tagStart + '<package'.length] !== 0x20)
          throw this.#inseparable()
        this.#inPackage = true
        this.#begin()
        return
      case names.version:
        this.#row[texts.epoch] = this.#attribute(names.epoch) || zero
        this.#row[texts.version] = this.#attribute(names.ver)
        this.#row[texts.release] = this.#attribute(names.rel)
        return
      case names.size:
        this.#sizes[numbers.size] = this.#attributeNumber(names.package)
        return
      case names.location:
        this.#row[texts.location] = this.#attribute(names.href)
        this.#row[texts.base] = this.#attribute(names.base) || this.#row[texts.base]!
        return
      case names.headerRange:
        this.#sizes[numbers.headerStart] = this.#attributeNumber(names.start)
        this.#sizes[numbers.headerEnd] = this.#attributeNumber(names.end)
        return
      case names.checksum:
        this.#row[texts.checksumType] = this.#attribute(names.type)
        this.#row[texts.checksum] = none
        break
      default:
        if (isList(name)) {
          this.#list = name - names.firstList
          return
        }
    }
    // name, arch, checksum, file
    this.#element = name
    this.#content = ''
    this.#number = -1
  }

  #text(start: number, end: number, form: TextForm): void {
    if (this.#element < 0) return
    if (form === 'plain' && this.#number < 0 && this.#content === '')
      this.#number = this.#numberAt(start, end)
    else {
      if (this.#number >= 0) this.#content = this.#texts.text(this.#number)
      this.#number = -1
      this.#content += this.#scanner.textAt(start, end, form)
    }
  }

  /** Bytes that are not UTF-8 are replaced, so that equal texts are equal bytes. */
  #numberAt(start: number, end: number): number {
    const { bytes } = this.#scanner
    for (let i = start; i < end; i++)
      if (bytes[i]! >= 0x80) return this.#texts.numberOfText(bytes.toString('utf8', start, end))
    return this.#texts.numberOf(bytes, start, end)
  }

  #close(name: number): void {
    const element = this.#element
    this.#element = -1
    if (isList(name)) this.#list = -1
    else if (name === names.package) this.#addPackage()
    else if (element < 0 || name !== element) this.#emptyText(name)
    else this.#setText(name, this.#number >= 0 ? this.#number : this.#texts.numberOfText(this.#content))
  }

  /** An element that has no text of its own, but others inside. */
  #emptyText(name: number): void {
    if (name === names.name || name === names.arch || name === names.file || name === names.checksum)
      this.#setText(name, none)
  }

  #setText(name: number, text: number): void {
    if (name === names.name) this.#row[texts.name] = text
    else if (name === names.arch) this.#row[texts.architecture] = text
    else if (name === names.file) this.#ownFiles.push(text)
    else this.#row[texts.checksum] = this.#lowerCase(text)
  }

  #lowerCase(text: number): number {
    if (this.#texts.isLowerHex(text)) return text
    const written = this.#texts.text(text)
    const lower = written.trim().toLowerCase()
    return lower === written ? text : this.#texts.numberOfText(lower)
  }

  #opaque(start: number, end: number): void {
    const { bytes } = this.#scanner
    const text = bytes.subarray(start, end)
    if (text.includes('<package ') || text.includes('</package>')) throw this.#inseparable()
  }

  #attribute(name: number): number {
    const at = this.#scanner.attribute(name)
    return at < 0 ? none : this.#scanner.attributeIn(this.#texts, at)
  }

  #attributeNumber(name: number): number {
    const at = this.#scanner.attribute(name)
    return at < 0 ? -1 : this.#scanner.attributeNumber(at)
  }

  /** Drops what rpm itself provides, such as `rpmlib(PayloadIsZstd)`. */
  #addRelation(): void {
    const scanner = this.#scanner
    const name = this.#attribute(names.name)
    if (name === none || this.#texts.startsWith(name, rpmlib)) return
    const written = this.#attribute(names.flags)
    const flags = written < relationFlags.length ? written : none
    const relations = this.#lists[this.#list]!
    relations.push(name)
    relations.push(flags)
    for (const part of evrNames) {
      const own = flags === none ? -1 : scanner.attribute(part)
      relations.push(own < 0 ? 0 : scanner.attributeIn(this.#texts, own) + 1)
    }
  }

  #begin(): void {
    this.#row.fill(none)
    this.#row[texts.epoch] = zero
    this.#sizes.fill(-1)
    for (const list of this.#lists) list.length = 0
    this.#ownFiles.length = 0
    this.#sizes[numbers.offset] = this.#scanner.offsetOf(this.#scanner.tagStart)
  }

  #addPackage(): void {
    this.#inPackage = false
    const scanner = this.#scanner
    if (scanner.tagEnd - scanner.tagStart !== '</package>'.length || ++this.#count > maxPackages)
      throw this.#inseparable()
    const row = this.#row
    if (!this.#architectures.has(this.#texts.text(row[texts.architecture]!))) return
    if (row[texts.name] === none || row[texts.version] === none)
      throw malformed('a package has no name, version or architecture', this.#item)
    for (const text of row) this.#rows.push(text)
    this.#sizes[numbers.length] = scanner.offsetOf(scanner.tagEnd) - this.#sizes[numbers.offset]!
    this.#numbers.push(...this.#sizes)
    for (const relations of this.#lists) {
      this.#relations.add(relations)
      this.#relationStarts.push(this.#relations.length / relationWidth)
    }
    this.#files.add(this.#ownFiles)
    this.#fileStarts.push(this.#files.length)
  }

  #inseparable() {
    return malformed('its package elements cannot be separated', this.#item)
  }
}

const rpmlib = Buffer.from('rpmlib(')
const evrNames = [names.epoch, names.ver, names.rel]
/** numbers of the texts `` and `0` */
const [none, zero] = [0, relationFlags.length]
const texts = Object.fromEntries(packageTexts.map((name, i) => [name, i])) as Positions<typeof packageTexts>
const numbers = Object.fromEntries(packageNumbers.map((name, i) => [name, i])) as Positions<
  typeof packageNumbers
>
type Positions<Names extends readonly string[]> = Record<Names[number], number>
