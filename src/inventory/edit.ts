import { type Document, isMap, isNode, isSeq, parseDocument, stringify } from 'yaml'
import { AirgapError } from '../core/errors.ts'
import type { AskedNode } from './starter.ts'

/**
 * Edits of site.yaml by people’s commands. Where each machine has lines of its own, only these change, and all else stays
 * byte for byte: the YAML library indents comments anew when it writes a document.
 */

/** The text with a machine more, at the end, written as the last one is. */
export function withNode(text: string, node: AskedNode): string {
  const lines = linesOfNodes(text)
  const last = lines?.at(-1)
  if (last === undefined) return rewritten(text, document => document.addIn(['nodes'], node))
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  const shown = stringify([node], {
    ...(last.flow ? { collectionStyle: 'flow' as const } : {}),
    flowCollectionPadding: last.padded,
    lineWidth: 0,
    version: '1.1',
  })
  const added = last.flow
    ? `- ${shown.trim().replace(/^\[\s*|\s*\]$/g, '')}`
    : shown.trimEnd().replace(/\n {2}roles:(?:\n +- .*)+/, `\n  roles: [${node.roles.join(', ')}]`)
  const indented = added.split('\n').map(line => `${last.indent}${line}`)
  return `${text.slice(0, last.end)}${eol}${indented.join(eol)}${text.slice(last.end)}`
}

/** The text without the machine at this place of `nodes`; comments on lines of their own around it stay. */
export function withoutNode(text: string, index: number): string {
  const line = linesOfNodes(text)?.[index]
  if (line === undefined) return rewritten(text, document => document.deleteIn(['nodes', index]))
  const rest = text.slice(line.end).replace(/^\r?\n/, '')
  return `${text.slice(0, line.start)}${rest}`
}

interface NodeLines {
  /** offsets in the text: of the first line’s start, and of the last one’s end without its line break */
  start: number
  end: number
  indent: string
  flow: boolean
  /** `{ name: a }` rather than `{name: a}` */
  padded: boolean
}

/** Undefined where machines share lines, or are written in a way that needs the library. */
function linesOfNodes(text: string): NodeLines[] | undefined {
  const nodes = parseDocument(text).get('nodes')
  if (!isSeq(nodes) || nodes.flow) return undefined
  const found: NodeLines[] = []
  for (const item of nodes.items) {
    // an anchor may be what others refer to
    if (!isMap(item) || !item.range || item.anchor !== undefined) return undefined
    const [from, to] = item.range
    const start = text.lastIndexOf('\n', from - 1) + 1
    const [, indent] = /^([^\S\n]*)-[^\S\n]+$/.exec(text.slice(start, from)) ?? []
    if (indent === undefined) return undefined
    const last = isNode(item.items.at(-1)?.value) ? (item.items.at(-1)?.value as { range?: number[] }) : {}
    const valueEnd = item.flow ? to : (last.range?.[1] ?? to)
    const ended = from + text.slice(from, valueEnd).trimEnd().length
    const end = /\r?\n|$/.exec(text.slice(ended))!.index + ended
    found.push({ start, end, indent, flow: item.flow === true, padded: text[from + 1] === ' ' })
  }
  return found
}

/** Comments and order stay; spaces and the indentation of comments may not. */
function rewritten(text: string, edit: (document: Document) => void): string {
  const document = parseDocument(text)
  try {
    edit(document)
    const after = document.toString({ lineWidth: 0, flowCollectionPadding: false })
    return text.includes('\r\n') ? after.replace(/\r?\n/g, '\r\n') : after
  } catch (error) {
    throw new AirgapError('SITE_INVALID', 'the machines are written in a way that cannot be edited here', {
      likely: 'a machine has an anchor (&…) that others refer to (*…)',
      next: 'edit site.yaml by hand; nothing was written',
      cause: error,
    })
  }
}
