import { type Alias, isAlias, isMap, isScalar, isSeq, type Pair, type ParsedNode, type YAMLMap } from 'yaml'
import { AirgapError } from '../core/errors.ts'
import { parseYaml } from '../document/parse-yaml.ts'

/** People write no more than this; a larger file is an attack on memory. */
export const maxValuesSize = 4 << 20 /* bytes */
/** Bounds of what people write; anything beyond is an attack on time or on the stack. */
const maxDepth = 100
const maxAliases = 1_000
/** Values that a file has only through aliases. */
const maxRepeated = 200_000

/** A value with aliases and merge keys resolved. Integers are exact. */
export type Plain = null | boolean | number | bigint | string | Disputed | Plain[] | PlainMap
export interface PlainMap extends Map<string, Plain> {}

/**
 * An unquoted scalar that YAML 1.1 (Helm's reader) and YAML 1.2 read differently: `yes`, `0644`, `1_000`. Only its text is known,
 * so that it equals neither the quoted text nor the other number.
 */
export class Disputed {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

const disputed =
  /^(?:y|n|yes|no|on|off|=|[-+]?0[0-9_]+|[-+]?0[box][0-9a-f]*_[0-9a-f_]*|[-+]?0[bo][0-9a-f]+|[-+]?[0-9][0-9.]*_[0-9_.]*|[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?)$/i

export function isDisputed(text: string): boolean {
  return disputed.test(text)
}

export type ValuesNode = ParsedNode
export type ValuesMap = YAMLMap.Parsed<ParsedNode, ParsedNode | null>
export type ValuesPair = Pair<ParsedNode, ParsedNode | null>

/** A values file: its text, the nodes with their offsets, and their values. */
export interface ValuesTree {
  text: string
  /** undefined where the file is empty or has only comments */
  root: ValuesMap | undefined
  value: PlainMap
  /** anchor → number of its aliases */
  aliases: ReadonlyMap<string, number>
}

/**
 * Reads a values file. Throws VALUES_INVALID with line and column for anything but one map in valid YAML, and for control characters,
 * duplicate keys, keys that are not text, unknown tags, and aliases or nesting without end. `whose` names the file in messages.
 */
export function readValuesTree(text: string, { name, whose }: { name: string; whose: string }): ValuesTree {
  const invalid = (what: string, item: string) =>
    new AirgapError('VALUES_INVALID', `${whose}: ${what}`, {
      item,
      next: 'correct that file and run the same command again; nothing was changed',
    })
  if (text.length > maxValuesSize) throw invalid(`larger than ${maxValuesSize} bytes`, name)
  const { document, faults, position } = parseYaml(text, {
    merge: true,
    intAsBigInt: true,
    keepSourceTokens: true,
  })
  const fail = (what: string, offset: number) => {
    const { line, column } = position(offset)
    return invalid(what, `${name}:${line}:${column}`)
  }
  const [fault] = faults
  if (fault !== undefined) throw fail(fault.what, fault.offset)
  const root = document.contents
  const aliases = new Map<string, number>()
  if (root === null || (isScalar(root) && root.value === null && root.range[0] === root.range[1]))
    return { text, root: undefined, value: new Map(), aliases }
  if (!isMap(root)) throw fail('not a map of values', root.range[0])
  const resolver = new Resolver({ fail, aliases, replaced: new Map() })
  return { text, root: root as ValuesMap, value: resolver.map(root as ValuesMap, 0), aliases }
}

/** The values of the tree if these scalars had other values: aliases of their anchors follow. */
export function valueWith(tree: ValuesTree, replaced: ReadonlyMap<ValuesNode, Plain>): PlainMap {
  const fail: Fail = what => new AirgapError('VALUES_INVALID', what)
  const resolver = new Resolver({ fail, aliases: new Map(), replaced })
  return tree.root === undefined ? new Map() : resolver.map(tree.root, 0)
}

type Fail = (what: string, offset: number) => AirgapError

/** The key as every reader of values sees it; undefined for the merge key `<<`. */
export function keyOf(pair: ValuesPair): string | undefined {
  if (!isScalar(pair.key) || typeof pair.key.value === 'symbol') return undefined
  return String(pair.key.value)
}

/** The map's own pairs, without those of merge keys. */
export function pairsOf(map: ValuesMap | undefined): Map<string, ValuesPair> {
  const pairs = new Map<string, ValuesPair>()
  for (const pair of map?.items ?? []) {
    const key = keyOf(pair)
    if (key !== undefined) pairs.set(key, pair)
  }
  return pairs
}

interface Anchored {
  value: Plain
  /** values in it */
  size: number
  /** levels in it */
  height: number
}

/** Nodes → values, in the order of the text: an alias shares the value of the last anchor before it. */
class Resolver {
  readonly #aliases: Map<string, number>
  readonly #anchors = new Map<string, Anchored>()
  readonly #replaced: ReadonlyMap<ValuesNode, Plain>
  readonly #fail: Fail
  #count = 0
  #deepest = 0
  #aliasCount = 0
  #repeated = 0

  constructor(options: {
    fail: Fail
    aliases: Map<string, number>
    replaced: ReadonlyMap<ValuesNode, Plain>
  }) {
    this.#fail = options.fail
    this.#aliases = options.aliases
    this.#replaced = options.replaced
  }

  map(node: ValuesMap, depth: number): PlainMap {
    const map: PlainMap = new Map()
    const merged: Plain[] = []
    const seen = new Set<string | undefined>()
    for (const pair of node.items) {
      const at = pair.key?.range?.[0] ?? node.range[0]
      if (!isScalar(pair.key)) throw this.#fail('a key must be text', at)
      const key = keyOf(pair)
      if (seen.has(key)) throw this.#fail(`the key "${(key ?? '<<').slice(0, 100)}" appears twice`, at)
      seen.add(key)
      const value = this.#value(pair.value, depth + 1)
      if (key !== undefined) map.set(key, value)
      else merged.push(...(Array.isArray(value) ? value : [value]))
    }
    for (const source of merged) {
      if (!(source instanceof Map)) throw this.#fail('a merge key << must name maps', node.range[0])
      for (const [key, value] of source) if (!map.has(key)) map.set(key, value)
    }
    return map
  }

  #value(node: ParsedNode | null, depth: number): Plain {
    if (isAlias(node)) return this.#alias(node, depth)
    const anchor = node?.anchor
    if (node === null || anchor === undefined) return this.#own(node, depth)
    const [before, outside] = [this.#count, this.#deepest]
    this.#deepest = depth
    const value = this.#own(node, depth)
    this.#anchors.set(anchor, { value, size: this.#count - before, height: this.#deepest - depth })
    this.#deepest = Math.max(outside, this.#deepest)
    return value
  }

  #own(node: Exclude<ParsedNode, Alias.Parsed> | null, depth: number): Plain {
    this.#reach(depth, node?.range[0] ?? 0)
    this.#count++
    if (node === null) return null
    const replaced = this.#replaced.get(node)
    if (replaced !== undefined) return replaced
    if (isMap(node)) return this.map(node as ValuesMap, depth)
    if (isSeq(node)) return node.items.map(item => this.#value(item as ParsedNode, depth + 1))
    if (node.type === 'PLAIN' && node.tag === undefined && isDisputed(node.source))
      return new Disputed(node.source)
    return node.value as Plain
  }

  #alias({ source, range }: Alias.Parsed, depth: number): Plain {
    const target = this.#anchors.get(source)
    if (target === undefined)
      throw this.#fail(`*${source.slice(0, 100)}: no anchor of that name before it`, range[0])
    this.#aliases.set(source, (this.#aliases.get(source) ?? 0) + 1)
    this.#count += target.size
    this.#repeated += target.size
    if (++this.#aliasCount > maxAliases || this.#repeated > maxRepeated)
      throw this.#fail('aliases that multiply without end', range[0])
    this.#reach(depth + target.height, range[0])
    return target.value
  }

  #reach(depth: number, offset: number): void {
    if (depth > maxDepth) throw this.#fail('nested too deeply', offset)
    this.#deepest = Math.max(this.#deepest, depth)
  }
}
