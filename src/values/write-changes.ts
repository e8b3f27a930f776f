import { isDeepStrictEqual } from 'node:util'
import { isAlias, isMap } from 'yaml'
import { AirgapError } from '../core/errors.ts'
import { applyEdits, type Edit } from '../document/source-text.ts'
import { OursText } from './ours-text.ts'
import type { Changes, Versions } from './plan-merge.ts'
import {
  colonOf,
  commentLines,
  commentsAbove,
  endOfPair,
  entryOf,
  isEmpty,
  isInline,
  sharedAnchor,
} from './positions.ts'
import { flowText, keyText, pathText } from './print.ts'
import {
  type Plain,
  type PlainMap,
  pairsOf,
  readValuesTree,
  type ValuesMap,
  type ValuesPair,
  type ValuesTree,
} from './tree.ts'

/**
 * Returns the text of `theirs` with the changes written into it, in our own text where that fits. No line is touched but those of the
 * changes. The result is read again: throws VALUES_INVALID, with the path, where its values are not `expected`.
 */
export function writeChanges(
  trees: Versions<ValuesTree>,
  { changes, expected, name }: { changes: Changes; expected: PlainMap; name: string },
): string {
  const { ours, theirs } = trees
  if (changes.size === 0) return theirs.text
  const editor = new Editor(trees)
  const values = { ours: ours.value, theirs: theirs.value, merged: expected }
  editor.editMap({ map: theirs.root, source: ours.root, values, path: [] }, changes)
  const text = applyEdits(theirs.text, editor.edits)
  verify(text, { expected, blocked: editor.blocked, name })
  return text
}

/** A change that could not be written, and why. It may be there all the same: an alias follows its anchor. */
interface Blocked {
  path: readonly string[]
  why: string
}

/** A map that both files have. */
interface Place {
  map: ValuesMap | undefined
  /** the map in ours; undefined where it is there only through an alias or a merge key */
  source: ValuesMap | undefined
  values: { ours: PlainMap; theirs: PlainMap; merged: PlainMap }
  path: readonly string[]
}

interface Target {
  pair: ValuesPair
  source: ValuesPair | undefined
  /** whether the pair is in a flow map */
  flow: boolean
  path: readonly string[]
}

type Pairs = ReadonlyMap<string, ValuesPair>

const aliased = 'its value comes from an alias or a merge key (<<)'
const unusual = 'it is written in an unusual way'

class Editor {
  readonly edits: Edit[] = []
  readonly blocked: Blocked[] = []
  readonly #theirs: ValuesTree
  readonly #oursText: OursText
  /** comments that the site removed */
  readonly #dropped: ReadonlySet<string>

  constructor(trees: Versions<ValuesTree>) {
    this.#theirs = trees.theirs
    this.#oursText = new OursText(trees)
    const left = commentLines(trees.ours.text)
    this.#dropped = new Set([...commentLines(trees.base.text)].filter(line => !left.has(line)))
  }

  editMap({ map, source, values, path: parent }: Place, changes: Changes): void {
    const pairs = pairsOf(map)
    const sources = pairsOf(source)
    const flow = map?.flow === true
    const removed = new Map<ValuesPair, readonly string[]>()
    const added = new Set<string>()
    for (const [key, change] of changes) {
      const path = [...parent, key]
      const pair = pairs.get(key)
      const own = sources.get(key)
      const value = values.ours.get(key)
      if (pair === undefined) {
        const inherited = change !== 'ours' || value === undefined || (!own && values.theirs.has(key))
        if (inherited) this.#block(path, aliased)
        else added.add(key)
      } else if (change !== 'ours') {
        const inner = {
          ours: value instanceof Map ? value : new Map(),
          theirs: values.theirs.get(key) as PlainMap,
          merged: values.merged.get(key) as PlainMap,
        }
        this.#editInside({ pair, source: own, flow, path }, { values: inner, changes: change })
      } else if (value === undefined) removed.set(pair, path)
      else this.#replace({ pair, source: own, flow, path }, value)
    }
    for (const [pair, path] of removed) this.#checkAnchors(pair, path)
    if (map !== undefined && flow) {
      this.#removeFromFlow(map, removed)
      this.#addToFlow(map, { added, removed, values: values.ours })
    } else {
      for (const [pair, path] of removed) this.#removeEntry(pair, path)
      this.#addEntries({ map, source, values, path: parent }, { added, pairs, sources })
    }
  }

  #editInside(target: Target, { values, changes }: { values: Place['values']; changes: Changes }): void {
    const { pair, source, path } = target
    const node = pair.value
    if (!isMap(node)) {
      this.#block(path, aliased)
      return
    }
    const own = isMap(source?.value) ? (source.value as ValuesMap) : undefined
    const same = isDeepStrictEqual(values.merged, values.ours)
    // `{}` that the site has filled with lines of their own; a block that the site has emptied
    const whole = node.flow
      ? same && (node.items.length === 0 || (own !== undefined && !own.flow))
      : values.merged.size === 0
    if (whole) this.#replace({ ...target, source: same ? source : undefined }, values.merged)
    else this.editMap({ map: node as ValuesMap, source: own, values, path }, changes)
  }

  #replace({ pair, source, flow, path }: Target, value: Plain): void {
    const node = pair.value
    if (isAlias(node) && isAlias(source?.value) && node.source === source.value.source) {
      this.#block(path, aliased)
      return
    }
    const inline = isInline(node)
    const line = this.#oursText.line(source, { value, flow })
    const entry = flow ? undefined : entryOf(this.#theirs, pair)
    const { text } = this.#theirs
    const lines =
      entry === undefined || (inline && line !== undefined)
        ? undefined
        : this.#oursText.lines(source, {
            value,
            indent: entry.indent,
            behind: inline ? text.slice(endOfPair(pair), entry.valueEnd).replace(/\r?\n$/, '') : '',
            below: inline ? text.slice(entry.valueEnd, entry.end) : '',
          })
    if (inline && lines === undefined) {
      this.#checkAnchors(pair, path, true)
      this.edits.push(inlineEdit(pair, line ?? flowText(value)))
    } else if (entry === undefined) this.#block(path, unusual)
    else {
      this.#checkAnchors(pair, path)
      const written = lines ?? ` ${line ?? flowText(value)}${this.#oursText.eol}`
      this.edits.push({ start: entry.colon, end: entry.end, text: written })
    }
  }

  #removeEntry(pair: ValuesPair, path: readonly string[]): void {
    const entry = entryOf(this.#theirs, pair)
    if (entry === undefined) this.#block(path, unusual)
    else {
      const start = commentsAbove(this.#theirs, entry, line => this.#dropped.has(line))
      this.edits.push({ start, end: entry.end, text: '' })
    }
  }

  /** After the key that precedes it in ours, or last. */
  #addEntries(
    { map, values, path }: Place,
    { added, pairs, sources }: { added: ReadonlySet<string>; pairs: Pairs; sources: Pairs },
  ): void {
    if (added.size === 0) return
    const { text } = this.#theirs
    let neighbour = map?.items.at(-1)
    let entry = neighbour && entryOf(this.#theirs, neighbour)
    for (const [key, value] of values.ours) {
      const pair = pairs.get(key)
      if (pair !== undefined) {
        neighbour = pair
        entry = undefined
      }
      if (!added.has(key)) continue
      entry ??= neighbour && entryOf(this.#theirs, neighbour)
      if (neighbour !== undefined && entry === undefined) {
        this.#block([...path, key], unusual)
        continue
      }
      const at = entry?.end ?? text.length
      const own = this.#oursText.entry(sources.get(key), { key, value, indent: entry?.indent ?? 0 })
      this.edits.push({ start: at, end: at, text: this.#lineBreakAt(at) + own })
    }
  }

  /** The line end that is missing before lines at this offset: that of a last line without one. */
  #lineBreakAt(at: number): string {
    const { text } = this.#theirs
    if (at < text.length || /(?:^\uFEFF?|\n)$/.test(text)) return ''
    const closed = this.edits.some(
      edit => edit.end === at && (edit.text.endsWith('\n') || (edit.text === '' && edit.start < at)),
    )
    return closed ? '' : this.#oursText.eol
  }

  #removeFromFlow({ items }: ValuesMap, removed: ReadonlyMap<ValuesPair, unknown>): void {
    const stays = items.findLastIndex(pair => !removed.has(pair))
    items.slice(0, stays + 1).forEach((pair, i) => {
      const next = items[i + 1]
      if (removed.has(pair) && next)
        this.edits.push({ start: pair.key.range[0], end: next.key.range[0], text: '' })
    })
    const [last, first, end] = [items[stays], items[stays + 1], items.at(-1)]
    if (!first || !end) return
    this.edits.push({ start: last ? endOfPair(last) : first.key.range[0], end: endOfPair(end), text: '' })
  }

  #addToFlow(
    map: ValuesMap,
    at: { added: ReadonlySet<string>; removed: ReadonlyMap<ValuesPair, unknown>; values: PlainMap },
  ): void {
    if (at.added.size === 0) return
    const last = map.items.at(-1)
    const start = last === undefined ? map.range[0] + 1 : endOfPair(last)
    const pairs = Array.from(at.added, key => `${keyText(key)}: ${flowText(at.values.get(key) ?? null)}`)
    const comma = at.removed.size < map.items.length ? ', ' : ''
    this.edits.push({ start, end: start, text: comma + pairs.join(', ') })
  }

  /** An anchor that is used elsewhere cannot go; with `keepsOwn`, the value's own one stays. */
  #checkAnchors({ value }: ValuesPair, path: readonly string[], keepsOwn = false): void {
    const anchor = sharedAnchor(this.#theirs, value)
    if (anchor === undefined || (keepsOwn && !isAlias(value) && value?.anchor === anchor)) return
    this.#block(path, `the anchor &${anchor} in it is used elsewhere`)
  }

  #block(path: readonly string[], why: string): void {
    this.blocked.push({ path, why })
  }
}

function inlineEdit(pair: ValuesPair, text: string): Edit {
  const { key, value } = pair
  if (!isEmpty(value)) {
    const [start, end] = value.range
    return { start, end, text: start === end ? ` ${text}` : text }
  }
  const colon = colonOf(pair)
  return colon === undefined
    ? { start: key.range[1], end: key.range[1], text: `: ${text}` }
    : { start: colon + 1, end: colon + 1, text: ` ${text}` }
}

/** A wrong edit is never written: the text has exactly the expected values, or there is none. */
function verify(
  text: string,
  { expected, blocked, name }: { expected: PlainMap; blocked: readonly Blocked[]; name: string },
): void {
  let wrong: readonly string[] = blocked[0]?.path ?? []
  let cause: unknown
  try {
    const { value } = readValuesTree(text, { name, whose: 'the merged file' })
    if (isDeepStrictEqual(value, expected)) return
    wrong = firstDifference(value, expected)
  } catch (error) {
    cause = error
  }
  const reason = blocked.find(({ path }) =>
    path.every((key, i) => wrong[i] === undefined || wrong[i] === key),
  )
  const path = reason !== undefined && reason.path.length > wrong.length ? reason.path : wrong
  const why = reason?.why ?? 'changing it would also change another value'
  throw new AirgapError('VALUES_INVALID', `${pathText(path) || 'the file'} cannot be merged: ${why}`, {
    item: name,
    likely: 'an alias, a merge key or unusual YAML around it',
    next: 'write the value out in full on the site, without alias and merge key, or make the change in the new file by hand; nothing was changed',
    cause,
  })
}

function firstDifference(found: PlainMap, expected: PlainMap): string[] {
  for (const key of new Set([...expected.keys(), ...found.keys()])) {
    const [one, other] = [found.get(key), expected.get(key)]
    if (isDeepStrictEqual(one, other)) continue
    return one instanceof Map && other instanceof Map ? [key, ...firstDifference(one, other)] : [key]
  }
  return []
}
