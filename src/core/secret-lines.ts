import { hasSecretUrl } from './redact.ts'
import { isSecretName, mentionsSecret } from './secret-names.ts'

export interface MaskOptions {
  /** replaces a value */
  mask: string
  /** what becomes of a line that has no key (a list's item, a line of a longer text): such lines may be part of a secret */
  keyless: 'mask' | 'keep'
}

/**
 * Masks secrets in the lines of a YAML text, which may be broken or cut. Returns one entry per line: the line, or the line with
 * its value masked, or undefined where nothing of the line may be shown.
 *
 * A value counts as secret where its key does; where a key above it does; where it is the `value` beside a `name` that is one
 * (environment variables); where it assigns one (`--token=x`, `{token: x}`, `postgres://user:x@host`); and where it is a private key.
 */
export function maskedLines(
  lines: readonly string[],
  { mask, keyless }: MaskOptions,
): (string | undefined)[] {
  const parsed = lines.map(parse)
  const named = valuesOfSecretNames(parsed)
  // commented-out YAML is YAML, too
  const secretAbove = { text: outside, comment: outside }
  return parsed.map((line, at) => {
    const { text, key, head, content, column, dash, comment } = line
    if (key === undefined && content === '') return text
    const kind = comment ? 'comment' : 'text'
    if (!comment) secretAbove.comment = outside
    if (column > secretAbove[kind] || (dash !== undefined && dash >= secretAbove[kind])) return undefined
    secretAbove[kind] = outside
    if (key === undefined) {
      if (!comment) return keyless === 'keep' ? text : undefined
      return mentionsSecret(content) ? `${head}${mask}` : text
    }
    if (!isSecretName(key) && !named.has(at) && !holdsSecret(content)) return text
    secretAbove[kind] = column
    return `${head} ${mask}`
  })
}

const outside = Number.POSITIVE_INFINITY

/** A line as YAML has it in block style. All columns count from 0. */
interface Line {
  text: string
  comment: boolean
  /** column of the last dash before the content, in an item of a list */
  dash: number | undefined
  /** where the key starts, or the content of a line without key */
  column: number
  key: string | undefined
  /** the line up to and with the colon of its key; in a line without key up to its content */
  head: string
  /** what follows the head, trimmed */
  content: string
}

/** Dashes, a key (quoted or plain, with spaces as people write it), a colon. */
const keyPattern =
  /^((?:- +)*)("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'#{}[\]&*!|>%@`,:-](?:[^:#]|:(?=\S)|(?<=\S)#){0,200}?)\s*:(?=\s|$)/

function parse(text: string): Line {
  const [indent = '', hash = ''] = /^\s*(#*)[ \t]*/.exec(text) ?? []
  const rest = text.slice(indent.length)
  const [start = '', dashes = /^(?:- +)*(?:-\s*$)?/.exec(rest)?.[0] ?? '', key] = keyPattern.exec(rest) ?? []
  const column = indent.length + dashes.length
  const head = key === undefined ? indent : indent + start
  return {
    text,
    comment: hash !== '',
    dash: dashes === '' ? undefined : indent.length + dashes.lastIndexOf('-'),
    column,
    key: key === undefined ? undefined : unquoted(key),
    head,
    content: text.slice(head.length).trim(),
  }
}

function unquoted(text: string): string {
  return /^(["']).*\1$/.test(text) ? text.slice(1, -1) : text
}

/** Indexes of `value: x` in the block that has `name: DB_PASSWORD`, whichever of the two comes first. */
function valuesOfSecretNames(lines: readonly Line[]): Set<number> {
  const found = new Set<number>()
  lines.forEach(({ key, content, column, dash }, at) => {
    if (key === undefined || !/^(?:name|key|variable|env)$/i.test(key) || !isSecretName(unquoted(content)))
      return
    const isSibling = (i: number) => {
      const line = lines[i]
      return (
        line !== undefined &&
        Math.abs(i - at) <= maxSiblings &&
        (line.content === '' || line.column >= column)
      )
    }
    const note = (i: number) => {
      const line = lines[i]
      if (line?.column === column && /^(?:value|default|data|content|secret)s?$/i.test(line.key ?? ''))
        found.add(i)
    }
    for (let i = at + 1; isSibling(i) && lines[i]?.dash === undefined; i++) note(i)
    if (dash !== undefined) return
    for (let i = at - 1; isSibling(i); i--) {
      note(i)
      if (lines[i]?.dash !== undefined) break
    }
  })
  return found
}

/** Lines that are searched for the value of a name; it keeps the time linear. */
const maxSiblings = 100

/** Whether a value has a secret in it, though its key does not say so. */
function holdsSecret(content: string): boolean {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY/.test(content) || hasSecretUrl(content)) return true
  if (/^[[{]/.test(content)) return mentionsSecret(content)
  const names = content.matchAll(
    /(?<![\w-])--?([\w.-]+)|(?<![\p{L}\p{N}._-])([\p{L}\p{N}._-]+)["'\\]*\s?[:=]/gu,
  )
  return [...names].some(([, option, assigned]) => isSecretName(option ?? assigned ?? ''))
}
