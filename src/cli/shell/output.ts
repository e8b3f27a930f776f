import { InvalidArgumentError } from 'commander'
import { canonicalJson } from '../../core/canonical-json.ts'

export const outputFormats = ['text', 'json', 'yaml'] as const
export type OutputFormat = (typeof outputFormats)[number]

export function parseOutputFormat(text: string): OutputFormat {
  const found = outputFormats.find(format => format === text)
  if (found === undefined) throw new InvalidArgumentError(`must be one of ${outputFormats.join(', ')}`)
  return found
}

/** One result as text. `renderText` is only called where text is asked for. The value must be JSON. */
export async function formatResult(
  value: unknown,
  format: OutputFormat,
  renderText: () => string,
): Promise<string> {
  if (format === 'text') return ended(renderText())
  const json = canonicalJson(value, 2)
  if (format === 'json') return ended(json)
  const { stringify } = await import('yaml')
  // through JSON, so that both formats say the same; no anchors, which not every reader follows
  return ended(stringify(JSON.parse(json), { aliasDuplicateObjects: false }))
}

function ended(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}
