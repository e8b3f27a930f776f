import { Document, visit } from 'yaml'
import { printable } from '../../core/printable.ts'

/** A JSON value as YAML without anchors, which not every reader follows, and without control characters. */
export function formatYaml(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false })
  // YAML allows DEL and C1 as they are; in double quotes it has the escapes that `printable` writes
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === 'string' && /[\u007f-\u009f]/.test(node.value)) node.type = 'QUOTE_DOUBLE'
    },
  })
  return printable(document.toString())
}
