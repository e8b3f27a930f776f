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
 * Formats one result. Control characters in it are escaped, because names come from bundles. The value must be JSON;
 * `renderText` is called for `text` only.
 */
export async function formatResult(
  value: unknown,
  format: OutputFormat,
  renderText: () => string,
): Promise<string> {
  if (format === 'text') return terminated(printable(renderText()))
  const json = printableJson(canonicalJson(value, 2))
  if (format === 'json') return terminated(json)
  // loaded on demand: most commands print text and never load the YAML library
  const { formatYaml } = await import('./format-yaml.ts')
  return terminated(formatYaml(JSON.parse(json)))
}

function terminated(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}
