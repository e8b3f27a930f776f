import { isAlias, isCollection, isPair, isScalar, visit } from 'yaml'
import { lineEnd, lineStart } from '../document/source-text.ts'
import type { ValuesNode, ValuesPair, ValuesTree } from './tree.ts'

/** The lines of a block map that belong to one key. */
export interface Entry {
  start: number
  /** columns before the key */
  indent: number
  /** after the colon */
  colon: number
  /** after the line end of the value's last line */
  valueEnd: number
  /** the same, with the comments below that are indented deeper than the key */
  end: number
}

/** Undefined where something else precedes the key on its line, or the colon is missing. */
export function entryOf({ text }: ValuesTree, pair: ValuesPair): Entry | undefined {
  const colon = colonOf(pair)
  const key = pair.key.range[0]
  const start = lineStart(text, key)
  if (colon === undefined || !/^ *$/.test(text.slice(start, key))) return undefined
  const indent = key - start
  const valueEnd = lineEnd(text, endOfPair(pair))
  let end = valueEnd
  for (let at = end; at < text.length; ) {
    const next = lineEnd(text, at + 1)
    const column = text.slice(at, next).search(/\S/)
    if (column >= 0) {
      if (column <= indent || text[at + column] !== '#') break
      end = next
    }
    at = next
  }
  return { start, indent, colon: colon + 1, valueEnd, end }
}

/** Start of the comment lines directly above an entry, as far up as `wanted` accepts them. */
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

/** Every comment line of a text, trimmed. */
export function commentLines(text: string): Set<string> {
  return new Set(Array.from(text.matchAll(/^[ \t]*(#.*)$/gm), match => (match[1] ?? '').trim()))
}

export function colonOf(pair: ValuesPair): number | undefined {
  return pair.srcToken?.sep?.find(part => part.type === 'map-value-ind')?.offset
}

/** `key:`, a null that has neither text nor anchor of its own. */
export function isEmpty(node: ValuesNode | null | undefined): node is null | undefined {
  if (node === null || node === undefined) return true
  const [start, end] = node.range
  return isScalar(node) && node.value === null && node.anchor === undefined && start === end
}

/** Whether the value can be replaced without its line: it is not a block of lines. */
export function isInline(node: ValuesNode | null): boolean {
  if (isEmpty(node) || isAlias(node)) return true
  if (isScalar(node)) return node.type !== 'BLOCK_LITERAL' && node.type !== 'BLOCK_FOLDED'
  return isCollection(node) && node.flow === true
}

/** End of a pair's text, comments not included. */
export function endOfPair(pair: ValuesPair): number {
  const own = (colonOf(pair) ?? pair.key.range[1] - 1) + 1
  const { value } = pair
  // the parser places an empty value after the blanks that follow
  return isEmpty(value) ? own : Math.max(own, endOf(value))
}

function endOf(node: ValuesNode): number {
  const last = isCollection(node) && !node.flow ? node.items.at(-1) : undefined
  if (last === undefined) return node.range[1]
  return isPair(last) ? endOfPair(last as ValuesPair) : endOf(last)
}

/** Whether the text means the same in another file: it has no anchors and aliases. */
export function isSelfContained(node: ValuesNode | null): boolean {
  let contained = true
  visit(node, (_, inner) => {
    contained &&= !isAlias(inner) && anchorOf(inner) === undefined
    return contained ? undefined : visit.BREAK
  })
  return contained
}

/** An anchor in the node that is used outside of it: without the node, the file would be invalid. */
export function sharedAnchor({ aliases }: ValuesTree, node: ValuesNode | null): string | undefined {
  const anchors = new Set<string>()
  const inside = new Map<string, number>()
  visit(node, (_, inner) => {
    const anchor = anchorOf(inner)
    if (isAlias(inner)) inside.set(inner.source, (inside.get(inner.source) ?? 0) + 1)
    else if (anchor !== undefined) anchors.add(anchor)
  })
  return [...anchors].find(anchor => (aliases.get(anchor) ?? 0) > (inside.get(anchor) ?? 0))
}

function anchorOf(node: unknown): string | undefined {
  return isScalar(node) || isCollection(node) ? node.anchor : undefined
}
