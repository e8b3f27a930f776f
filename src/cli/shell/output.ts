import { InvalidArgumentError } from 'commander'
import { canonicalJson } from '../../core/canonical-json.ts'
import { printable, printableJson } from './format.ts'

export const outputFormats = ['text', 'json', 'yaml'] as const
export type OutputFormat = (typeof outputFormats)[number]

export function parseOutputFormat(text: string): OutputFormat {
  const found = outputFormats.find(format => format === text)
  if (found === undefined) throw new InvalidArgumentError(`must be one of ${outputFormats.join(', ')}`)
  return found
}

/** One result as text, fit for a terminal whatever names a bundle brings. `renderText` is only called where text is asked for. The value must be JSON. */
export async function formatResult(
  value: unknown,
  format: OutputFormat,
  renderText: () => string,
): Promise<string> {
  if (format === 'text') return ended(printable(renderText()))
  const json = printableJson(canonicalJson(value, 2))
  if (format === 'json') return ended(json)
  return ended(await formatYaml(JSON.parse(json)))
}

/** In double quotes YAML has the escapes of `printable`, so that DEL and C1, which it would let through, can be spelled. */
async function formatYaml(value: unknown): Promise<string> {
  const { Document, visit } = await import('yaml')
  // no anchors, which not every reader follows
  const document = new Document(value, { aliasDuplicateObjects: false })
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === 'string' && /[\u007f-\u009f]/.test(node.value)) node.type = 'QUOTE_DOUBLE'
    },
  })
  return printable(document.toString())
}

function ended(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}
