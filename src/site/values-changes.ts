import { isDeepStrictEqual } from 'node:util'
import { isAlias, isMap } from 'yaml'
import { SourceText } from './values-source.ts'
import {
  applyEdits,
  colonOf,
  commentBehind,
  commentLines,
  commentsAbove,
  type Edit,
  endOfPair,
  entryOf,
  flowText,
  isEmpty,
  isInline,
  keyText,
  sharedAnchor,
} from './values-text.ts'
import {
  type Plain,
  type PlainMap,
  pairsOf,
  type ValuesMap,
  type ValuesPair,
  type ValuesTree,
} from './values-tree.ts'

/** Keys whose value is to be the site's (which may have none), or that have such keys inside. */
export type Changes = Map<string, 'ours' | Changes>

/** What could not be written, and why. It may be right all the same: an alias follows its anchor. */
export interface Blocked {
  path: readonly string[]
  why: string
}

interface Trees {
  base: ValuesTree
  ours: ValuesTree
  theirs: ValuesTree
}

/**
 * `theirs` with the changes put in, the site's own text where it can stand there. Nothing but the changes' own lines is touched.
 * The caller compares the values of the result with what they are to be.
 */
export function editValues(
  trees: Trees,
  { changes, merged }: { changes: Changes; merged: PlainMap },
): { text: string; blocked: Blocked[] } {
  const { ours, theirs } = trees
  const editor = new Editor(trees)
  const values = { ours: ours.value, theirs: theirs.value, merged }
  editor.editMap({ map: theirs.root, source: ours.root, values, path: [] }, changes)
  return { text: applyEdits(theirs.text, editor.edits), blocked: editor.blocked }
}

/** A map that both have. */
interface Place {
  /** where it stands in theirs */
  map: ValuesMap | undefined
  /** where it stands in ours; undefined where it stands there by an alias or a merge key */
  source: ValuesMap | undefined
  values: { ours: PlainMap; theirs: PlainMap; merged: PlainMap }
  path: readonly string[]
}

interface Target {
  pair: ValuesPair
  source: ValuesPair | undefined
  /** it stands in a flow map */
  flow: boolean
  path: readonly string[]
}

type Pairs = ReadonlyMap<string, ValuesPair>

const aliased = 'it stands there by an alias or a merge key (<<)'
const unusual = 'it is written in an unusual way'

class Editor {
  readonly edits: Edit[] = []
  readonly blocked: Blocked[] = []
  private readonly theirs: ValuesTree
  private readonly source: SourceText
  /** comments that the site took out */
  private readonly dropped: ReadonlySet<string>

  constructor(trees: Trees) {
    this.theirs = trees.theirs
    this.source = new SourceText(trees)
    const there = commentLines(trees.ours.text)
    this.dropped = new Set([...commentLines(trees.base.text)].filter(line => !there.has(line)))
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
        const merged = change !== 'ours' || value === undefined || (!own && values.theirs.has(key))
        if (merged) this.block(path, aliased)
        else added.add(key)
      } else if (change !== 'ours') {
        const inner = {
          ours: value instanceof Map ? value : new Map(),
          theirs: values.theirs.get(key) as PlainMap,
          merged: values.merged.get(key) as PlainMap,
        }
        this.editInside({ pair, source: own, flow, path }, { values: inner, changes: change })
      } else if (value === undefined) removed.set(pair, path)
      else this.replace({ pair, source: own, flow, path }, value)
    }
    for (const [pair, path] of removed) this.checkAnchors(pair, path)
    if (map !== undefined && flow) {
      this.removeFromFlow(map, removed)
      this.addToFlow(map, { added, removed, values: values.ours })
    } else {
      for (const [pair, path] of removed) this.removeEntry(pair, path)
      this.addEntries({ map, source, values, path: parent }, { added, pairs, sources })
    }
  }

  private editInside(
    target: Target,
    { values, changes }: { values: Place['values']; changes: Changes },
  ): void {
    const { pair, source, path } = target
    const node = pair.value
    if (!isMap(node)) {
      this.block(path, aliased)
      return
    }
    const own = isMap(source?.value) ? (source.value as ValuesMap) : undefined
    const same = isDeepStrictEqual(values.merged, values.ours)
    // `{}` that the site has filled on lines of their own; a block that the site has emptied
    const whole = node.flow
      ? same && (node.items.length === 0 || (own !== undefined && !own.flow))
      : values.merged.size === 0
    if (whole) this.replace({ ...target, source: same ? source : undefined }, values.merged)
    else this.editMap({ map: node as ValuesMap, source: own, values, path }, changes)
  }

  private replace({ pair, source, flow, path }: Target, value: Plain): void {
    const node = pair.value
    if (isAlias(node) && isAlias(source?.value) && node.source === source.value.source) {
      this.block(path, aliased)
      return
    }
    const inline = isInline(node)
    const line = this.source.line(source, { value, flow })
    const entry = flow ? undefined : entryOf(this.theirs, pair)
    const comment = commentBehind(this.theirs, pair)
    const lines =
      entry === undefined || (inline && line !== undefined)
        ? undefined
        : this.source.lines(source, { value, indent: entry.indent, comment })
    if (inline && lines === undefined) {
      this.checkAnchors(pair, path, true)
      this.edits.push(inlineEdit(pair, line ?? flowText(value)))
    } else if (entry === undefined) this.block(path, unusual)
    else {
      this.checkAnchors(pair, path)
      const text = lines ?? ` ${line ?? flowText(value)}${this.source.eol}`
      this.edits.push({ start: entry.colon, end: entry.end, text })
    }
  }

  private removeEntry(pair: ValuesPair, path: readonly string[]): void {
    const entry = entryOf(this.theirs, pair)
    if (entry === undefined) this.block(path, unusual)
    else {
      const start = commentsAbove(this.theirs, entry, line => this.dropped.has(line))
      this.edits.push({ start, end: entry.end, text: '' })
    }
  }

  /** Behind the key that it stands behind on the site, or last. */
  private addEntries(
    { map, values, path }: Place,
    { added, pairs, sources }: { added: ReadonlySet<string>; pairs: Pairs; sources: Pairs },
  ): void {
    if (added.size === 0) return
    const { text } = this.theirs
    let neighbour = map?.items.at(-1)
    let entry = neighbour && entryOf(this.theirs, neighbour)
    for (const [key, value] of values.ours) {
      const pair = pairs.get(key)
      if (pair !== undefined) {
        neighbour = pair
        entry = undefined
      }
      if (!added.has(key)) continue
      entry ??= neighbour && entryOf(this.theirs, neighbour)
      if (neighbour !== undefined && entry === undefined) {
        this.block([...path, key], unusual)
        continue
      }
      const at = entry?.end ?? text.length
      const own = this.source.entry(sources.get(key), { key, value, indent: entry?.indent ?? 0 })
      const open = at > 0 && text[at - 1] !== '\n' && text !== '\uFEFF'
      this.edits.push({
        start: at,
        end: at,
        text: open ? this.source.eol + own.replace(/\r?\n$/, '') : own,
      })
    }
  }

  private removeFromFlow({ items }: ValuesMap, removed: ReadonlyMap<ValuesPair, unknown>): void {
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

  private addToFlow(
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
  private checkAnchors({ value }: ValuesPair, path: readonly string[], keepsOwn = false): void {
    const anchor = sharedAnchor(this.theirs, value)
    if (anchor === undefined || (keepsOwn && !isAlias(value) && value?.anchor === anchor)) return
    this.block(path, `the anchor &${anchor} in it is used elsewhere`)
  }

  private block(path: readonly string[], why: string): void {
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
