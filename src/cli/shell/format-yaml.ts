import { Document, visit } from 'yaml'
import { printable } from '../../core/printable.ts'

/** Formats a JSON value as YAML without anchors, which not every parser supports, safe for a terminal. */
export function formatYaml(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false })
  // only double quotes have the escapes that `printable` writes: elsewhere they would change the value
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === 'string' && printable(node.value) !== node.value) node.type = 'QUOTE_DOUBLE'
    },
  })
  return printable(document.toString())
}
