import { isDeepStrictEqual } from 'node:util'
import {
  commentLines,
  commentsAbove,
  type Entry,
  entryOf,
  eolOf,
  flowText,
  hasGapAbove,
  isEmpty,
  isInline,
  isSelfContained,
  keyText,
  shifted,
} from './values-text.ts'
import { type Plain, type PlainMap, readValuesTree, type ValuesPair, type ValuesTree } from './values-tree.ts'

/**
 * The site's own text of values, made fit for another file: its line ends, its indentation. Text is given only where it reads as
 * the value on its own; all else is printed anew, by value.
 */
export class SourceText {
  readonly eol: string
  private readonly ours: ValuesTree
  private readonly known: ReadonlySet<string>
  private readonly gaps: boolean

  /** `theirs` is the file that the text is for; comments that it or `base` has are not carried along. */
  constructor({ base, ours, theirs }: { base: ValuesTree; ours: ValuesTree; theirs: ValuesTree }) {
    this.ours = ours
    this.eol = eolOf(theirs.text, ours.text)
    this.known = commentLines(`${base.text}\n${theirs.text}`)
    // where a block of text keeps the empty lines behind it, one more would be another text
    this.gaps = !/[|>]\d?\+/.test(theirs.text)
  }

  /** The value, where it stands on one line without anchor and tag. */
  line(pair: ValuesPair | undefined, { value, flow }: { value: Plain; flow: boolean }): string | undefined {
    const node = pair?.value
    if (isEmpty(node) || !isInline(node) || node.tag !== undefined || !isSelfContained(node)) return undefined
    const text = this.ours.text.slice(node.range[0], node.range[1])
    if (/[\r\n]/.test(text)) return undefined
    return reads(flow ? `{k: ${text} }` : `k: ${text}`, new Map([['k', value]])) ? text : undefined
  }

  /** All lines from behind the colon on, with `comment` behind the first if that has none. */
  lines(
    pair: ValuesPair | undefined,
    at: { value: Plain; indent: number; comment: string | undefined },
  ): string | undefined {
    const entry = this.entryOf(pair)
    if (entry === undefined) return undefined
    const own = this.moved({ start: entry.colon, entry, indent: at.indent, first: false })
    const texts = [own]
    const end = own.search(/\r?\n/)
    const first = own.slice(0, end).trimEnd()
    if (at.comment !== undefined && !first.includes('#'))
      texts.unshift(`${first} ${at.comment}${own.slice(end)}`)
    const expected: PlainMap = new Map([['k', at.value]])
    return texts.find(text => reads(`${' '.repeat(at.indent)}k:${text}`, expected))
  }

  /** The lines of a key, with the empty line and the comments above it. */
  entry(
    pair: ValuesPair | undefined,
    { key, value, indent }: { key: string; value: Plain; indent: number },
  ): string {
    const entry = this.entryOf(pair)
    if (entry !== undefined) {
      const start = commentsAbove(this.ours, entry, line => !this.known.has(line))
      const own = this.moved({ start, entry, indent, first: true })
      const gap = this.gaps && hasGapAbove(this.ours, start) ? this.eol : ''
      if (reads(own, new Map([[key, value]]))) return gap + own
    }
    return `${' '.repeat(indent)}${keyText(key)}: ${flowText(value)}${this.eol}`
  }

  private entryOf(pair: ValuesPair | undefined): Entry | undefined {
    return pair !== undefined && isSelfContained(pair.value) ? entryOf(this.ours, pair) : undefined
  }

  private moved(from: { start: number; entry: Entry; indent: number; first: boolean }): string {
    const text = this.ours.text.slice(from.start, from.entry.end)
    return shifted(text.endsWith('\n') ? text : text + this.eol, {
      by: from.indent - from.entry.indent,
      eol: this.eol,
      first: from.first,
    })
  }
}

/** Whether the text alone has just these values. */
function reads(text: string, value: PlainMap): boolean {
  try {
    return isDeepStrictEqual(readValuesTree(text, { name: '', whose: '' }).value, value)
  } catch {
    return false
  }
}
