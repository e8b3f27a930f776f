import { InvalidArgumentError } from 'commander'
import { canonicalJson } from '../../core/canonical-json.ts'
import { oneLine, printable, printableJson } from '../../core/printable.ts'

export const outputFormats = ['text', 'json', 'yaml'] as const
export type OutputFormat = (typeof outputFormats)[number]

export function parseOutputFormat(text: string): OutputFormat {
  const found = outputFormats.find(format => format === text)
  if (found === undefined) throw new InvalidArgumentError(`must be one of ${outputFormats.join(', ')}`)
  return found
}

/** A line of text for people. Colours never carry what the text does not. */
export interface StyledLine {
  text: string
  style?: keyof typeof colours
}

const colours = { added: 32, removed: 31, changed: 33, heading: 1, warning: 33, faint: 2 } as const

/**
 * What a command's text can be: a document whose lines are our own (a script, a manifest), or lines, in colour or not. Each of these is
 * printed as one line, whatever is in its fields (fault 120).
 */
export type TextResult = string | readonly (string | StyledLine)[]

/** Whether a stream shows colours (no-color.org). */
export function hasColour(stream: { isTTY?: boolean }): boolean {
  return stream.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
}

/**
 * Formats one result. Control characters in it are escaped, because names come from bundles. The value must be JSON;
 * `renderText` is called for `text` only.
 */
export async function formatResult(
  value: unknown,
  format: OutputFormat,
  renderText: () => TextResult,
  { color = false } = {},
): Promise<string> {
  if (format === 'text') return terminated(textOf(renderText(), color))
  const json = printableJson(canonicalJson(value, 2))
  if (format === 'json') return terminated(json)
  // loaded on demand: most commands print text and never load the YAML library
  const { formatYaml } = await import('./format-yaml.ts')
  return terminated(formatYaml(JSON.parse(json)))
}

/** Each line is made printable before it gets its colour: names come from bundles, and must not start escape sequences. */
function textOf(result: TextResult, color: boolean): string {
  if (typeof result === 'string') return printable(result)
  return result
    .map(one => {
      const { text, style } = typeof one === 'string' ? { text: one, style: undefined } : one
      const line = oneLine(text)
      return color && style !== undefined ? `\u001b[${colours[style]}m${line}\u001b[0m` : line
    })
    .join('\n')
}

function terminated(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}
