import { Document, visit } from 'yaml'
import { printable } from '../../core/printable.ts'

/** Formats a JSON value as YAML without anchors, which not every parser supports, and without control characters. */
export function formatYaml(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false })
  // YAML allows DEL and C1 unescaped; only double quotes have the escapes that `printable` writes
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === 'string' && /[\u007f-\u009f]/.test(node.value)) node.type = 'QUOTE_DOUBLE'
    },
  })
  return printable(document.toString())
}
