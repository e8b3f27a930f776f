import { type Document, isMap, isNode, isSeq, stringify } from 'yaml'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { parseYaml } from '../document/parse-yaml.ts'
import { applyEdits, eolOf, lineEnd, lineStart } from '../document/source-text.ts'
import type { NodeAnswer } from './starter.ts'

/**
 * Edits of site.yaml by commands. If each node has lines of its own, only those change and everything else stays byte for byte:
 * the YAML library indents comments differently when it writes a document.
 */

/** Returns the text with another node at the end, written in the style of the last one. */
export function withNode(text: string, node: NodeAnswer): string {
  const last = linesOfNodes(text)?.at(-1)
  if (last === undefined) return rewritten(text, document => document.addIn(['nodes'], node))
  const eol = eolOf(text)
  const printed = stringify([node], {
    ...defined({ collectionStyle: last.flow ? ('flow' as const) : undefined }),
    flowCollectionPadding: last.padded,
    lineWidth: 0,
    version: '1.1',
  })
  const added = last.flow
    ? `- ${printed.trim().slice(1, -1).trim()}`
    : printed.trimEnd().replace(/\n {2}roles:(?:\n +- .*)+/, `\n  roles: [${node.roles.join(', ')}]`)
  const lines = added.split('\n').map(line => `${eol}${last.indent}${line}`)
  return applyEdits(text, [{ start: last.end, end: last.end, text: lines.join('') }])
}

/** Returns the text without the node at this index of `nodes`; comments on lines of their own around it stay. */
export function withoutNode(text: string, index: number): string {
  const node = linesOfNodes(text)?.[index]
  if (node === undefined) return rewritten(text, document => document.deleteIn(['nodes', index]))
  return applyEdits(text, [{ start: node.start, end: lineEnd(text, node.end), text: '' }])
}

interface NodeLines {
  /** offset of the first line, and of the last one's line end */
  start: number
  end: number
  indent: string
  flow: boolean
  /** `{ name: a }` rather than `{name: a}` */
  padded: boolean
}

/** Undefined if nodes share lines, or are written in a way that needs the library. */
function linesOfNodes(text: string): NodeLines[] | undefined {
  const nodes = parseYaml(text).document.get('nodes')
  if (!isSeq(nodes) || nodes.flow) return undefined
  const found: NodeLines[] = []
  for (const item of nodes.items) {
    // others may refer to the anchor
    if (!isMap(item) || !item.range || item.anchor !== undefined) return undefined
    const [from, to] = item.range
    const start = lineStart(text, from)
    const [, indent] = /^([^\S\n]*)-[^\S\n]+$/.exec(text.slice(start, from)) ?? []
    if (indent === undefined) return undefined
    const last = isNode(item.items.at(-1)?.value) ? (item.items.at(-1)?.value as { range?: number[] }) : {}
    const valueEnd = item.flow ? to : (last.range?.[1] ?? to)
    const ended = from + text.slice(from, valueEnd).trimEnd().length
    const end = ended + text.slice(ended, lineEnd(text, ended)).replace(/\r?\n$/, '').length
    found.push({ start, end, indent, flow: item.flow === true, padded: text[from + 1] === ' ' })
  }
  return found
}

/** Keeps comments and order; spaces and the indentation of comments may change. */
function rewritten(text: string, edit: (document: Document) => void): string {
  const { document } = parseYaml(text)
  try {
    edit(document)
    const after = document.toString({ lineWidth: 0, flowCollectionPadding: false })
    return after.replace(/\r?\n/g, eolOf(text))
  } catch (error) {
    throw new AirgapError(
      'SITE_INVALID',
      'the nodes in site.yaml are written in a way that this command cannot edit',
      {
        likely: 'a node has an anchor (&…) that others refer to (*…)',
        next: 'edit site.yaml by hand; nothing was written',
        cause: error,
      },
    )
  }
}
