import { InvalidArgumentError } from 'commander'
import { canonicalJson } from '../../core/canonical-json.ts'
import { printable, printableJson } from '../../core/printable.ts'

export const outputFormats = ['text', 'json', 'yaml'] as const
export type OutputFormat = (typeof outputFormats)[number]

export function parseOutputFormat(text: string): OutputFormat {
  const found = outputFormats.find(format => format === text)
  if (found === undefined) throw new InvalidArgumentError(`must be one of ${outputFormats.join(', ')}`)
  return found
}

/**
 * Formats one result, without control characters whatever names a bundle contains. The value must be JSON; `renderText` is
 * called for `text` only.
 */
export async function formatResult(
  value: unknown,
  format: OutputFormat,
  renderText: () => string,
): Promise<string> {
  if (format === 'text') return ended(printable(renderText()))
  const json = printableJson(canonicalJson(value, 2))
  if (format === 'json') return ended(json)
  // loaded when needed: most commands print text, and parse no YAML
  const { formatYaml } = await import('./format-yaml.ts')
  return ended(formatYaml(JSON.parse(json)))
}

function ended(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}
