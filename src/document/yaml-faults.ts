import { type Document, isAlias, isCollection, isMap, isScalar, visit } from 'yaml'

/** A mistake at an offset of the text. */
export interface YamlFault {
  offset: number
  what: string
}

/** People write a handful; the time to resolve them grows with the square of their number. */
const maxAliases = 1_000

/**
 * Finds in one pass what a parsed document must not contain (fault 59): duplicate keys, keys that are not text, aliases without an
 * anchor before them (YAML 1.2.2 section 7.1), more aliases than people write. Parse with `uniqueKeys: false`: the parser's own check
 * compares each key with every other, which a hostile document turns into minutes. With `duplicates: 'last'`, duplicate keys are no fault.
 */
export function yamlFaults(
  document: Document.Parsed,
  { duplicates = 'refuse' }: { duplicates?: 'refuse' | 'last' } = {},
): YamlFault[] {
  const anchors = new Set<string>()
  const faults: YamlFault[] = []
  let aliases = 0
  visit(document, (_, node) => {
    if (isAlias(node)) {
      const { source } = node
      if (!anchors.has(source))
        faults.push({ offset: startOf(node), what: `*${source}: no anchor &${source} before it` })
      if (++aliases <= maxAliases) return
      faults.push({ offset: startOf(node), what: `more than ${maxAliases} aliases` })
      return visit.BREAK
    }
    if ((isScalar(node) || isCollection(node)) && node.anchor !== undefined) anchors.add(node.anchor)
    if (!isMap(node)) return
    const keys = new Set<string>()
    for (const { key } of node.items) {
      if (!isScalar(key)) {
        faults.push({
          offset: isCollection(key) || isAlias(key) ? startOf(key) : startOf(node),
          what: 'a key must be text',
        })
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
  })
  return faults
}

function startOf(node: { range?: readonly [number, number, number] | null | undefined }): number {
  return node.range?.[0] ?? 0
}
