import { isDeepStrictEqual } from 'node:util'
import { eolOf } from '../document/source-text.ts'
import {
  commentLines,
  commentsAbove,
  type Entry,
  entryOf,
  hasGapAbove,
  isEmpty,
  isInline,
  isSelfContained,
} from './positions.ts'
import { flowText, keyText } from './print.ts'
import { type Plain, type PlainMap, readValuesTree, type ValuesPair, type ValuesTree } from './tree.ts'

/**
 * Text of values as `ours` has it, adapted to another file: its line ends, its indentation. Text is taken over only where it reads
 * as the value on its own; everything else is printed from the value.
 */
export class OursText {
  readonly eol: string
  readonly #ours: ValuesTree
  readonly #known: ReadonlySet<string>
  readonly #gaps: boolean

  /** `theirs` is the file that the text is for; comments that it or `base` has are not carried over. */
  constructor({ base, ours, theirs }: { base: ValuesTree; ours: ValuesTree; theirs: ValuesTree }) {
    this.#ours = ours
    this.eol = eolOf(theirs.text, ours.text)
    this.#known = commentLines(`${base.text}\n${theirs.text}`)
    // where a block of text keeps the empty lines after it, another one would become part of it
    this.#gaps = !/[|>]\d?\+/.test(theirs.text)
  }

  /** The value, where it is on one line without anchor and tag. */
  line(pair: ValuesPair | undefined, { value, flow }: { value: Plain; flow: boolean }): string | undefined {
    const node = pair?.value
    if (isEmpty(node) || !isInline(node) || node.tag !== undefined || !isSelfContained(node)) return undefined
    const text = this.#ours.text.slice(node.range[0], node.range[1])
    if (/[\r\n]/.test(text)) return undefined
    return readsAs(flow ? `{k: ${text} }` : `k: ${text}`, new Map([['k', value]])) ? text : undefined
  }

  /**
   * All lines from after the colon on. `behind` is the rest of the line that the value is for, with its comment; `below` are the
   * comment lines after it: both are kept where the value's own text allows it.
   */
  lines(
    pair: ValuesPair | undefined,
    at: { value: Plain; indent: number; behind: string; below: string },
  ): string | undefined {
    const entry = this.#entryOf(pair)
    if (entry === undefined) return undefined
    const own = this.#moved({ start: entry.colon, entry, indent: at.indent, first: false })
    const end = own.search(/\r?\n/)
    const first = own.slice(0, end).trimEnd()
    const comment = at.behind.trim()
    const commented = first === '' ? `${at.behind}${own.slice(end)}` : `${first} ${comment}${own.slice(end)}`
    const keepsComment = comment !== '' && !first.includes('#')
    const texts = keepsComment ? [commented + at.below, commented, own] : [own + at.below, own]
    const expected: PlainMap = new Map([['k', at.value]])
    return texts.find(text => readsAs(`${' '.repeat(at.indent)}k:${text}`, expected))
  }

  /** The lines of a key, with the empty line and the comments above it. */
  entry(
    pair: ValuesPair | undefined,
    { key, value, indent }: { key: string; value: Plain; indent: number },
  ): string {
    const entry = this.#entryOf(pair)
    if (entry !== undefined) {
      const start = commentsAbove(this.#ours, entry, line => !this.#known.has(line))
      const own = this.#moved({ start, entry, indent, first: true })
      const gap = this.#gaps && hasGapAbove(this.#ours, start) ? this.eol : ''
      if (readsAs(own, new Map([[key, value]]))) return gap + own
    }
    return `${' '.repeat(indent)}${keyText(key)}: ${flowText(value)}${this.eol}`
  }

  #entryOf(pair: ValuesPair | undefined): Entry | undefined {
    return pair !== undefined && isSelfContained(pair.value) ? entryOf(this.#ours, pair) : undefined
  }

  #moved(from: { start: number; entry: Entry; indent: number; first: boolean }): string {
    const text = this.#ours.text.slice(from.start, from.entry.end)
    return shifted(text.endsWith('\n') ? text : text + this.eol, {
      by: from.indent - from.entry.indent,
      eol: this.eol,
      first: from.first,
    })
  }
}

/** Moves all lines `by` columns (the first only on request) and gives them the line end. */
function shifted(text: string, { by, eol, first }: { by: number; eol: string; first: boolean }): string {
  return text
    .split(/\r?\n/)
    .map((line, i) => {
      if (line === '' || (i === 0 && !first)) return line
      return by < 0 ? line.slice(Math.min(-by, line.search(/[^ ]|$/))) : ' '.repeat(by) + line
    })
    .join(eol)
}

/** Whether the text alone has exactly these values. */
function readsAs(text: string, value: PlainMap): boolean {
  try {
    return isDeepStrictEqual(readValuesTree(text, { name: '', whose: '' }).value, value)
  } catch {
    return false
  }
}
