import { type BlockDigests, BlockHasher } from '../../content/block-digests.ts'
import type { Columns, DerivedForm } from '../../content/derived.ts'
import type { ByteRange } from '../../core/descriptor.ts'
import { groupByKey, NumberList } from '../number-list.ts'
import type { RpmCandidate } from './candidate.ts'
import type { ListReader } from './repomd.ts'
import { malformed } from './strict-xml.ts'
import { TextTable } from './text-table.ts'
import { type TextForm, XmlScanner } from './xml-scanner.ts'

/** createrepo's filelists.xml: megabytes, of which only a few paths and the elements of the chosen packages are needed. */

/** Where the elements of filelists.xml are. */
export const elementsForm = {
  kind: 'rpm-filelists',
  version: 1,
  columns: {
    /** checksums of packages, in lower case */
    texts: 'u8',
    textStarts: 'u32',
    textSlots: 'u32',
    /** offset and length in bytes, by the number of the checksum */
    places: 'f64',
    /** of filelists.xml (`BlockDigests`) */
    blocks: 'u8',
  },
} as const satisfies DerivedForm<Record<string, 'u8' | 'u16' | 'u32' | 'f64'>>
type ElementColumns = Columns<typeof elementsForm.columns>

/** Which packages may have a file: the paths are known by a part of their hash. */
export const ownersForm = {
  kind: 'rpm-owners',
  version: 1,
  columns: {
    /** where the packages of each hash start, and the end of the last: a power of two, and one */
    starts: 'u32',
    /** numbers of checksums */
    packages: 'u32',
    texts: 'u8',
    textStarts: 'u32',
    textSlots: 'u32',
  },
} as const satisfies DerivedForm<Record<string, 'u8' | 'u16' | 'u32' | 'f64'>>
type OwnerColumns = Columns<typeof ownersForm.columns>

/** Reads where the elements are; the site parses them. Throws UPSTREAM_INVALID. */
export class ElementsReader implements ListReader {
  readonly #checksums: TextTable
  readonly #places: number[] = []
  readonly #blocks = new BlockHasher()
  readonly #cutter: ElementCutter

  constructor(item: string) {
    this.#checksums = TextTable.of([], item)
    this.#cutter = new ElementCutter(item, (element, offset) => {
      const checksum = checksumOf(element)
      if (checksum === undefined) return
      const number = this.#checksums.numberOfText(checksum)
      this.#places[2 * number] = offset
      this.#places[2 * number + 1] = element.length
    })
  }

  readonly write = (chunk: Uint8Array): void => {
    this.#blocks.update(chunk)
    this.#cutter.write(chunk)
  }

  columns(): ElementColumns {
    return {
      ...this.#checksums.columns(),
      places: new Float64Array(this.#places),
      blocks: this.#blocks.digests(),
    }
  }
}

/** Returns where the element of a package is, by its checksum. */
export function elementFinder(
  columns: ElementColumns,
  item: string,
): { find: (checksum: string) => ByteRange | undefined; blocks: BlockDigests } {
  const checksums = TextTable.from(columns, item)
  return {
    blocks: columns.blocks,
    find(checksum) {
      const number = checksums.find(checksum)
      if (number < 0) return undefined
      const start = columns.places[2 * number]!
      return { start, end: start + columns.places[2 * number + 1]! }
    },
  }
}

/** Reads which packages may have each file. Throws UPSTREAM_INVALID. */
export class OwnersReader implements ListReader {
  readonly #checksums: TextTable
  readonly #hashes = new NumberList()
  readonly #packages = new NumberList()
  readonly #files: FileReader
  #own = 0

  constructor(item: string) {
    this.#checksums = TextTable.of([''], item)
    this.#files = new FileReader(item, {
      package: checksum => {
        this.#own = this.#checksums.numberOfText(checksum)
      },
      file: path => {
        this.#hashes.push(hashOf(path))
        this.#packages.push(this.#own)
      },
    })
  }

  readonly write = (chunk: Uint8Array): void => this.#files.write(chunk)

  /** Ends the list. */
  columns(): OwnerColumns {
    this.#files.close()
    // a slot has about one package
    const count = 2 ** Math.ceil(Math.log2(this.#hashes.length + 1))
    for (let i = 0; i < this.#hashes.length; i++) this.#hashes.set(i, this.#hashes.at(i) & (count - 1))
    const { first, entries } = groupByKey(this.#hashes, { values: this.#packages, count })
    return { starts: first, packages: entries, ...this.#checksums.columns() }
  }
}

/** Returns the checksums of the packages that may have a file; some of them do not. */
export function ownersFinder(columns: OwnerColumns, item: string): (path: string) => string[] {
  const checksums = TextTable.from(columns, item)
  const { starts, packages } = columns
  const mask = starts.length - 2
  return path => {
    const slot = hashOf(path) & mask
    const found = packages.subarray(starts[slot]!, starts[slot + 1]!)
    return [...new Set(found)].map(number => checksums.text(number))
  }
}

/** Returns the paths of an element of filelists.xml. Throws UPSTREAM_INVALID. */
export function pathsOf(element: Buffer, item: string): Set<string> {
  const paths = new Set<string>()
  const reader = new FileReader(item, { package: () => undefined, file: path => void paths.add(path) })
  reader.write(element)
  reader.close()
  return paths
}

/** FNV-1a of the characters */
function hashOf(text: string): number {
  let hash = 0x811c9dc5 | 0
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}

const names = ['package', 'file', 'pkgid'] as const

/** Reads the files of each package. */
class FileReader {
  readonly #scanner: XmlScanner
  #isFile = false
  #content = ''

  constructor(item: string, handlers: { package: (checksum: string) => void; file: (path: string) => void }) {
    const scanner = new XmlScanner(item, {
      known: names,
      handlers: {
        open: name => {
          this.#isFile = name === names.indexOf('file')
          this.#content = ''
          if (name !== names.indexOf('package')) return
          const at = scanner.attribute(names.indexOf('pkgid'))
          handlers.package(at < 0 ? '' : scanner.attributeText(at).toLowerCase())
        },
        text: (start: number, end: number, form: TextForm) => {
          if (this.#isFile) this.#content += scanner.textAt(start, end, form)
        },
        close: () => {
          if (this.#isFile) handlers.file(this.#content)
          this.#isFile = false
        },
      },
    })
    this.#scanner = scanner
  }

  write(chunk: Uint8Array): void {
    this.#scanner.write(chunk)
  }

  close(): void {
    this.#scanner.close()
  }
}

/** The element of filelists.xml as far as primary.xml has it: version, and the files that dependencies usually name. */
export function filesOfPrimary(primary: string, { checksum }: RpmCandidate): string {
  const text = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(primary)?.[1] ?? ''
  const attribute = (name: string) => text(name).replaceAll('"', '&quot;')
  const version = /<version\b[^<>]*>/.exec(primary)?.[0].replace(/\/?>$/, '/>') ?? ''
  const files = primary.match(/<file\b[^<>]*>[^<]*<\/file>/g) ?? []
  const start = `<package pkgid="${checksum.hex}" name="${attribute('name')}" arch="${attribute('arch')}">`
  return [start, ...[version, ...files].map(line => `  ${line}`), '</package>'].join('\n')
}

/** The package with the most files of all distributions has a tenth of it. */
const maxElement = 64 << 20 /* bytes */
const start = Buffer.from('<package ')
const end = Buffer.from('</package>')

/** Cuts elements out of a list that arrives in parts. Each part is searched once: one element that never ends must not take quadratic time. */
class ElementCutter {
  readonly #item: string
  readonly #take: (element: Buffer, offset: number) => void
  /** an element that has begun, and its size; or the end of a part, in which a tag may have begun */
  #parts: Buffer[] = []
  #size = 0
  #begun = false
  /** the end of an element so far, in which its end tag may have begun */
  #tail: Buffer = Buffer.alloc(0)
  /** offset of the first byte of `#parts` */
  #offset = 0

  constructor(item: string, take: (element: Buffer, offset: number) => void) {
    this.#item = item
    this.#take = take
  }

  write(chunk: Uint8Array): void {
    let text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    if (!this.#begun) text = this.#joined(text)
    for (;;) {
      if (!this.#begun) {
        const at = text.indexOf(start)
        const rest = at < 0 ? Math.max(0, text.length - start.length + 1) : at
        this.#offset += rest
        text = text.subarray(rest)
        if (at < 0) break
        this.#begun = true
      }
      const length = this.#endIn(text)
      if (length < 0) break
      const element = this.#joined(text.subarray(0, length))
      this.#take(element, this.#offset)
      this.#offset += element.length
      this.#begun = false
      text = text.subarray(length)
    }
    this.#hold(text)
  }

  /** Returns where the element ends in a part; negative where it does not. The end may have begun in the part before. */
  #endIn(text: Buffer): number {
    if (this.#tail.length > 0) {
      const found = Buffer.concat([this.#tail, text.subarray(0, end.length - 1)]).indexOf(end)
      if (found >= 0) return found + end.length - this.#tail.length
    }
    const found = text.indexOf(end)
    return found < 0 ? -1 : found + end.length
  }

  #hold(text: Buffer): void {
    this.#size += text.length
    if (this.#size > maxElement) throw malformed('an unterminated package element', this.#item)
    this.#parts.push(Buffer.from(text))
    if (this.#begun)
      this.#tail = Buffer.concat([this.#tail, text.subarray(1 - end.length)]).subarray(1 - end.length)
  }

  #joined(text: Buffer): Buffer {
    const all = this.#parts.length === 0 ? text : Buffer.concat([...this.#parts, text])
    this.#parts = []
    this.#size = 0
    this.#tail = this.#tail.subarray(0, 0)
    return all
  }
}

const usualStart = Buffer.from('<package pkgid="')

function checksumOf(element: Buffer): string | undefined {
  // as createrepo_c writes it
  if (element.indexOf(usualStart) === 0 && element[usualStart.length + 64] === 0x22) {
    const hex = element.toString('latin1', usualStart.length, usualStart.length + 64)
    if (/^[0-9a-f]{64}$/.test(hex)) return hex
  }
  return /\bpkgid=["']([0-9A-Fa-f]+)["']/.exec(element.toString('latin1', 0, 400))?.[1]?.toLowerCase()
}
