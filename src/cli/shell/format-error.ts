import type { AirgapError } from '../../core/errors.ts'
import { oneLine, printable, printableJson } from '../../core/printable.ts'
import { withoutSecretParameters } from '../../core/secret-queries.ts'

/**
 * Formats an error for stderr: its message, item, likely cause and next step, or one JSON object. Each field is one line, and further lines
 * of the message are indented: nothing that comes from elsewhere can look like a field (fault 120).
 */
export function formatError(
  error: AirgapError,
  options: { json: boolean; color: boolean; verbose: boolean },
): string {
  if (options.json) return `${shownJson({ error: error.toJSON() })}\n`
  const red = (text: string) => (options.color ? `\u001b[31m${text}\u001b[0m` : text)
  const [first = '', ...more] = error.lines.map(shown)
  const lines = [`${red(`error ${error.code}`)}: ${first}`, ...more.map(line => `  ${line}`)]
  for (const field of ['item', 'likely', 'next'] as const) {
    const text = error[field]
    if (text !== undefined) lines.push(`${`  ${field}:`.padEnd(10)}${shown(text)}`)
  }
  if (options.verbose) lines.push(...causes(error))
  return `${lines.join('\n')}\n`
}

/** The last line of defence: a message of a program or of a parser may quote a URL with its token. */
function shown(text: string): string {
  return oneLine(withoutSecretParameters(text))
}

function shownJson(value: object): string {
  const mask = (_: string, part: unknown) => (typeof part === 'string' ? withoutSecretParameters(part) : part)
  return printableJson(JSON.stringify(value, mask))
}

function causes(error: AirgapError): string[] {
  const lines = [shownStack(error)]
  let cause: unknown = error.cause
  for (let depth = 0; cause !== undefined && depth < 10; depth++) {
    lines.push(`caused by ${cause instanceof Error ? shownStack(cause) : shown(String(cause))}`)
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return lines
}

/** The message on one line, and the frames below it, which are our own lines. */
function shownStack({ name, message, stack = '' }: Error): string {
  const at = stack.indexOf(message)
  const frames = at < 0 ? '' : printable(withoutSecretParameters(stack.slice(at + message.length)))
  return shown(`${name}: ${message}`) + frames
}
