import type { AirgapError } from '../../core/errors.ts'
import { printable, printableJson } from '../../core/printable.ts'
import { withoutSecretParameters } from '../../core/secret-queries.ts'

/** Formats an error for stderr: up to four lines of text, or one JSON object. */
export function formatError(
  error: AirgapError,
  options: { json: boolean; color: boolean; verbose: boolean },
): string {
  if (options.json) return `${shownJson({ error: error.toJSON() })}\n`
  const red = (text: string) => (options.color ? `\u001b[31m${text}\u001b[0m` : text)
  const lines = [`${red(`error ${error.code}`)}: ${shown(error.message)}`]
  for (const field of ['item', 'likely', 'next'] as const) {
    const text = error[field]
    if (text !== undefined) lines.push(`${`  ${field}:`.padEnd(10)}${shown(text)}`)
  }
  if (options.verbose) lines.push(...causes(error))
  return `${lines.join('\n')}\n`
}

/** The last line of defence: a message of a program or of a parser may quote a URL with its token. */
function shown(text: string): string {
  return printable(withoutSecretParameters(text))
}

function shownJson(value: object): string {
  const mask = (_: string, part: unknown) => (typeof part === 'string' ? withoutSecretParameters(part) : part)
  return printableJson(JSON.stringify(value, mask))
}

function causes(error: AirgapError): string[] {
  const lines = [shown(error.stack ?? '')]
  let cause: unknown = error.cause
  for (let depth = 0; cause !== undefined && depth < 10; depth++) {
    lines.push(`caused by ${shown(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause))}`)
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return lines
}
