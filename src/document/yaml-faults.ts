import { type Document, isAlias, isMap, isPair, isScalar, isSeq, type YAMLMap } from 'yaml'

/** A mistake at an offset of the text. */
export interface YamlFault {
  offset: number
  what: string
}

/** People write a handful; the time to resolve them grows with the square of their number. */
const maxAliases = 1_000
/** Values that a text has only through aliases: all that walks the value later walks them, too. */
const maxRepeated = 200_000
/** People and programs write a few dozen; each level is a frame of the stack for all that walks the value later. */
const maxDepth = 200

export const nestedTooDeeply = 'nested too deeply'
export const multiplyingAliases = 'aliases that multiply without end'

/**
 * Finds in one pass what a parsed document must not contain (faults 59 and 110): duplicate keys, keys that are not text, aliases without an
 * anchor before them (YAML 1.2.2 section 7.1) or inside what they refer to, more aliases, repetition and levels than people write. Parse with
 * `uniqueKeys: false`: the parser's own check compares each key with every other, which a hostile document turns into minutes. With
 * `duplicates: 'last'`, duplicate keys are no fault.
 */
export function yamlFaults(
  document: Document.Parsed,
  { duplicates = 'refuse' }: { duplicates?: 'refuse' | 'last' } = {},
): YamlFault[] {
  const faults: YamlFault[] = []
  /** anchor → values in what it names; undefined while that is being read */
  const anchors = new Map<string, number | undefined>()
  let aliases = 0
  let repeated = 0
  let stopped = false
  const stop = (fault: YamlFault): number => {
    faults.push(fault)
    stopped = true
    return 0
  }

  const alias = (source: string, offset: number): number => {
    if (!anchors.has(source)) faults.push({ offset, what: `*${source}: no anchor &${source} before it` })
    else if (anchors.get(source) === undefined)
      faults.push({ offset, what: `*${source}: inside of what &${source} names` })
    if (++aliases > maxAliases) return stop({ offset, what: `more than ${maxAliases} aliases` })
    const size = anchors.get(source) ?? 0
    repeated += size
    return repeated > maxRepeated ? stop({ offset, what: multiplyingAliases }) : size
  }

  /** Returns the number of values in a node, with those that aliases repeat. */
  const sizeOf = (node: unknown, depth: number): number => {
    if (stopped) return 0
    if (depth > maxDepth) return stop({ offset: startOf(node), what: nestedTooDeeply })
    if (isAlias(node)) return alias(node.source, startOf(node))
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) return 0
    if (node.anchor !== undefined) anchors.set(node.anchor, isScalar(node) ? 1 : undefined)
    if (isScalar(node)) return 1
    if (isMap(node)) checkKeys(node, { duplicates, faults })
    let size = 1
    for (const item of node.items)
      size += isPair(item)
        ? sizeOf(item.key, depth + 1) + sizeOf(item.value, depth + 1)
        : sizeOf(item, depth + 1)
    if (node.anchor !== undefined) anchors.set(node.anchor, size)
    return size
  }

  sizeOf(document.contents, 0)
  return faults
}

function checkKeys(
  map: YAMLMap,
  { duplicates, faults }: { duplicates: 'refuse' | 'last'; faults: YamlFault[] },
): void {
  const keys = new Set<string>()
  for (const { key } of map.items) {
    if (!isScalar(key)) {
      faults.push({ offset: startOf(key) || startOf(map), what: 'a key must be text' })
      continue
    }
    const text = String(key.value)
    if (duplicates === 'refuse' && keys.has(text))
      faults.push({
        offset: startOf(key),
        what: `the key ${JSON.stringify(text.slice(0, 100))} appears twice: keys must be unique`,
      })
    keys.add(text)
  }
}

function startOf(node: unknown): number {
  const range = (node as { range?: readonly number[] | null } | null)?.range
  return range?.[0] ?? 0
}
