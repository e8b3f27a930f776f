import { isAlias, isCollection, isPair, isScalar, visit } from 'yaml'
import {
  Disputed,
  isDisputed,
  type Plain,
  type ValuesNode,
  type ValuesPair,
  type ValuesTree,
} from './values-tree.ts'

/** Replaces `[start, end)` of the text. */
export interface Edit {
  start: number
  end: number
  text: string
}

/** No two of them overlap; those at one place come out in the order given. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const pieces: string[] = []
  let done = 0
  for (const edit of edits.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    pieces.push(text.slice(done, edit.start), edit.text)
    done = edit.end
  }
  return pieces.join('') + text.slice(done)
}

/** The lines of a block map that belong to one key. */
export interface Entry {
  start: number
  /** columns before the key */
  indent: number
  /** behind the colon */
  colon: number
  /** behind the line end of the last line; comments below that are indented deeper than the key are lines of it, too */
  end: number
}

/** undefined where something else stands before the key, or the colon is missing. */
export function entryOf({ text }: ValuesTree, pair: ValuesPair): Entry | undefined {
  const colon = colonOf(pair)
  const key = pair.key.range[0]
  const start = lineStart(text, key)
  if (colon === undefined || !/^ *$/.test(text.slice(start, key))) return undefined
  const indent = key - start
  let end = lineEnd(text, endOfPair(pair))
  for (let at = end; at < text.length; ) {
    const next = lineEnd(text, at + 1)
    const column = text.slice(at, next).search(/\S/)
    if (column >= 0) {
      if (column <= indent || text[at + column] !== '#') break
      end = next
    }
    at = next
  }
  return { start, indent, colon: colon + 1, end }
}

/** Where the comment lines directly above an entry start, as far up as they are wanted. */
export function commentsAbove(
  { text }: ValuesTree,
  { start, indent }: Entry,
  wanted: (line: string) => boolean,
): number {
  for (let at = start; ; ) {
    const above = lineStart(text, Math.max(at - 1, 0))
    const line = text.slice(above, at)
    if (above === at || line.search(/\S/) !== indent || line[indent] !== '#' || !wanted(line.trim()))
      return at
    at = above
  }
}

/** Whether the line above is empty. */
export function hasGapAbove({ text }: ValuesTree, at: number): boolean {
  return /\n[ \t]*\r?\n$/.test(text.slice(Math.max(0, at - 100), at))
}

/** The comment behind a value on its line. */
export function commentBehind({ text }: ValuesTree, { value }: ValuesPair): string | undefined {
  if (value === null || !isInline(value)) return undefined
  const [, end] = value.range
  return /^[ \t]*(#.*)/.exec(text.slice(end, lineEnd(text, end)))?.[1]?.trim()
}

/** Every comment line of a text, without what stands around it. */
export function commentLines(text: string): Set<string> {
  return new Set(Array.from(text.matchAll(/^[ \t]*(#.*)$/gm), match => (match[1] ?? '').trim()))
}

/** Moves all lines but, on request, the first, and gives them the line end. */
export function shifted(
  text: string,
  { by, eol, first }: { by: number; eol: string; first: boolean },
): string {
  return text
    .split(/\r?\n/)
    .map((line, i) => {
      if (line === '' || (i === 0 && !first)) return line
      return by < 0 ? line.slice(Math.min(-by, line.search(/[^ ]|$/))) : ' '.repeat(by) + line
    })
    .join(eol)
}

/** The line end of the first text that has one. */
export function eolOf(...texts: string[]): string {
  return /\r?\n/.exec(texts.join(''))?.[0] ?? '\n'
}

export function colonOf(pair: ValuesPair): number | undefined {
  return pair.srcToken?.sep?.find(part => part.type === 'map-value-ind')?.offset
}

/** `key:`, a null that has no text of its own, nor an anchor. */
export function isEmpty(node: ValuesNode | null | undefined): node is null | undefined {
  if (node === null || node === undefined) return true
  const [start, end] = node.range
  return isScalar(node) && node.value === null && node.anchor === undefined && start === end
}

/** What can be replaced without its line: no block of lines. */
export function isInline(node: ValuesNode | null): boolean {
  if (isEmpty(node) || isAlias(node)) return true
  if (isScalar(node)) return node.type !== 'BLOCK_LITERAL' && node.type !== 'BLOCK_FOLDED'
  return isCollection(node) && node.flow === true
}

/** Where the text of a pair ends, comments not included. */
export function endOfPair(pair: ValuesPair): number {
  const own = (colonOf(pair) ?? pair.key.range[1] - 1) + 1
  const { value } = pair
  // the place of an empty value is behind the blanks that follow
  return isEmpty(value) ? own : Math.max(own, endOf(value))
}

function endOf(node: ValuesNode): number {
  const last = isCollection(node) && !node.flow ? node.items.at(-1) : undefined
  if (last === undefined) return node.range[1]
  return isPair(last) ? endOfPair(last as ValuesPair) : endOf(last)
}

/** Without anchors and aliases: text that means the same in another place. */
export function isSelfContained(node: ValuesNode | null): boolean {
  let contained = true
  visit(node, (_, inner) => {
    contained &&= !isAlias(inner) && !(isScalar(inner) || isCollection(inner) ? inner.anchor : undefined)
    return contained ? undefined : visit.BREAK
  })
  return contained
}

/** An anchor in the node that is used outside it: without the node, the file could not be read. */
export function sharedAnchor({ aliases }: ValuesTree, node: ValuesNode | null): string | undefined {
  const anchors = new Set<string>()
  const inside = new Map<string, number>()
  visit(node, (_, inner) => {
    if (isAlias(inner)) inside.set(inner.source, (inside.get(inner.source) ?? 0) + 1)
    else if ((isScalar(inner) || isCollection(inner)) && inner.anchor !== undefined) anchors.add(inner.anchor)
  })
  return [...anchors].find(anchor => (aliases.get(anchor) ?? 0) > (inside.get(anchor) ?? 0))
}

/** A value on one line, texts in double quotes: every reader takes them for texts. What is secret is masked. */
export function flowText(value: Plain, isSecret: (key: string) => boolean = () => false): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'number') return numberText(value)
  if (value instanceof Disputed) return value.text
  if (Array.isArray(value)) return `[${value.map(item => flowText(item, isSecret)).join(', ')}]`
  if (!(value instanceof Map)) return String(value)
  if (value.size === 0) return '{}'
  const named = ['name', 'key'].map(key => value.get(key)).some(it => typeof it === 'string' && isSecret(it))
  const pairs = Array.from(value, ([key, inner]) => {
    const hidden = isSecret(key) || (named && key !== 'name' && key !== 'key')
    return `${keyText(key)}: ${hidden ? '***' : flowText(inner, isSecret)}`
  })
  return `{ ${pairs.join(', ')} }`
}

export function keyText(key: string): string {
  const plain = /^[A-Za-z_][\w-]*$/.test(key) && !isDisputed(key) && !/^(?:true|false|null)$/i.test(key)
  return plain ? key : quoted(key)
}

/** YAML 1.2 section 7.3: JSON text is a double-quoted scalar; section 5.1: what is not printable is escaped. */
function quoted(value: string): string {
  return JSON.stringify(value).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return '.nan'
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf'
  const text = Object.is(value, -0) ? '-0' : String(value)
  return /^-?[0-9]+$/.test(text) ? `${text}.0` : text
}

function lineStart(text: string, at: number): number {
  const start = at === 0 ? 0 : text.lastIndexOf('\n', at - 1) + 1
  return start === 0 && text.startsWith('\uFEFF') ? 1 : start
}

/** Behind the line end; `at` may be there already. */
function lineEnd(text: string, at: number): number {
  if (at > 0 && text[at - 1] === '\n') return at
  const newline = text.indexOf('\n', at)
  return newline < 0 ? text.length : newline + 1
}
