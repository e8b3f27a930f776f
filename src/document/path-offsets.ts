import { type Document, isMap, isNode, isScalar, isSeq, type Pair, type YAMLMap } from 'yaml'

export type Path = readonly PropertyKey[]

/** Offset of the value (or of its key) at the path, or of its nearest parent that exists. */
export type PathOffsets = (path: Path, part?: 'key' | 'value') => number

/** The pairs of a map are collected once: a map with 100,000 mistakes is not searched for each. */
export function pathOffsets(document: Document.Parsed): PathOffsets {
  const tables = new WeakMap<YAMLMap, Map<string, Pair>>()
  const pairOf = (map: YAMLMap, key: string) => {
    let table = tables.get(map)
    if (table === undefined) {
      table = new Map(
        map.items.flatMap(pair => (isScalar(pair.key) ? [[String(pair.key.value), pair] as const] : [])),
      )
      tables.set(map, table)
    }
    return table.get(key)
  }
  return (path, wanted = 'value') => {
    let node: unknown = document.contents
    let offset = startOf(node) ?? 0
    path.forEach((part, i) => {
      if (isMap(node)) {
        const pair = pairOf(node, String(part))
        const key = startOf(pair?.key)
        const isWanted = i === path.length - 1 && wanted === 'key'
        offset = (isWanted ? key : (startOf(pair?.value) ?? key)) ?? offset
        node = pair?.value
      } else {
        node = isSeq(node) && typeof part === 'number' ? node.items[part] : undefined
        offset = startOf(node) ?? offset
      }
    })
    return offset
  }
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}
