import { stringify } from 'yaml'
import { isDigest } from '../core/digest.ts'
import { redactUrl } from '../core/redact.ts'
import { maskedLines } from '../core/secret-lines.ts'
import { isSecretName } from '../core/secret-names.ts'
import { withoutTrailing } from '../core/trim.ts'
import { readYamlStream } from '../document/parse-yaml.ts'

/** Replaces a secret. */
export const removed = '[removed]'

/** Shorter secrets cannot be distinguished from other text. */
const shortest = 3

/**
 * Removes secrets from texts: the known ones anywhere and in any form (JSON, URL, HTML, shell, hexadecimal, base64, base64 of a
 * longer text), values whose name says that they are secret, private keys, and the user, password and query of each URL.
 */
export class Redactor {
  readonly #spelled: RegExp[]
  readonly #encoded: Map<string, RegExp>
  readonly #values: string[]

  constructor(secrets: Iterable<string>) {
    const values = new Set<string>()
    for (const secret of secrets) {
      const lines = secret.split(/\r?\n/).filter(line => line.trim().length >= 6 && !line.includes('-----'))
      for (const value of [secret, ...lines].flatMap(one => parts(one.trim())))
        if (value.trim().length >= shortest) values.add(value.trim())
    }
    // the longest first: a secret that is part of another must not leave the rest of that one behind
    this.#values = [...values].sort((a, b) => b.length - a.length || (a < b ? -1 : 1))
    this.#spelled = this.#values.map(value => new RegExp(spelledOut(value), 'g'))
    this.#encoded = new Map(this.#values.flatMap(encodings).map(core => [core, wrapped(core)]))
  }

  /** Redacts a text of any form: a log, the output of a program. */
  text(text: string): string {
    return maskedAssignments(this.#known(withoutUrls(this.#known(withoutPrivateKeys(text)))))
  }

  /** Redacts YAML or JSON: every value whose key names a secret goes. A document that cannot be parsed is redacted as a text. */
  document(text: string, format: 'json' | 'yaml'): string {
    try {
      if (format === 'json') return `${JSON.stringify(this.value(JSON.parse(text)), null, 2)}\n`
      const { values, faults } = readYamlStream(text, { tags: 'ignore' })
      if (faults.length === 0)
        return values
          .map(value => stringify(this.value(value), { aliasDuplicateObjects: false, lineWidth: 0 }))
          .join('---\n')
    } catch {
      // not JSON: redacted as a text
    }
    return this.text(maskedBlocks(text))
  }

  /** Redacts a JSON value. `secret`: whether a key above it names a secret. */
  value(value: unknown, secret = false): unknown {
    if (Array.isArray(value)) return value.map(one => this.value(one, secret))
    if (typeof value === 'object' && value !== null) {
      const named = isNamedSecret(value)
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [
          this.text(key),
          this.value(inner, secret || isSecretName(key) || (named && key === 'value')),
        ]),
      )
    }
    if (typeof value === 'boolean' || value === null || value === undefined) return value
    // digests of a step's inputs and names of content are not secret
    if (typeof value === 'string' && isDigest(value)) return value
    if (secret) return removed
    if (typeof value === 'string') return this.text(value)
    return this.#values.includes(String(value)) ? removed : value
  }

  #known(text: string): string {
    let result = text
    for (const spelled of this.#spelled) result = result.replace(spelled, removed)
    // searched in a text without line ends, where no encoding is wrapped: that is fast, replacing is slow
    const squeezed = result.replace(/\\+[nrt]?|\s+/g, '')
    for (const [core, pattern] of this.#encoded)
      if (squeezed.includes(core)) result = result.replace(pattern, removed)
    return withoutTruncated(result, this.#values)
  }
}

/** Splits a long secret, which is removed in parts: its pattern would be too large. */
function parts(value: string): string[] {
  if (value.length <= 256) return [value]
  const count = Math.ceil(value.length / 256)
  const size = Math.ceil(value.length / count)
  return Array.from({ length: count }, (_, i) => value.slice(i * size, (i + 1) * size))
}

/** A line that was truncated when it was written may end in the first half of a secret. */
function withoutTruncated(text: string, values: readonly string[]): string {
  if (!/[^\n]{900}/.test(text)) return text
  return text
    .split('\n')
    .map(line => {
      if (line.length < 900) return line
      for (const value of values)
        for (let length = value.length - 1; length >= 4; length--)
          if (line.endsWith(value.slice(0, length))) return `${line.slice(0, -length)}${removed}`
      return line
    })
    .join('\n')
}

/**
 * Returns a pattern of a secret as JSON, URLs, HTML, YAML and shells may write it, also one inside another. Runs of blanks, and runs of
 * quotes and backslashes, are one part each: with a loop for each of their characters, a text of backslashes would be divided between
 * the loops in every possible way (fault 112). Quotes at both ends stay visible.
 */
function spelledOut(value: string): string {
  const parts = value.replace(/^[\\'"]+/, '').match(/[\\'"]+|\s+|[^\\'"\s]/gu) ?? []
  if (/^[\\'"]/.test(parts.at(-1) ?? '')) parts.pop()
  if (parts.length === 0) return value.replace(/\\/g, '\\\\')
  return parts
    .map((part, at) => {
      if (/^[\\'"]/.test(part)) return quoting
      return /^\s/.test(part) ? blanks : spellings(part, at === 0 ? undefined : (parts[at - 1] ?? ''))
    })
    .join('')
}

/** The escape of the next character begins with a backslash, which is part of this run. */
const quoting = String.raw`(?:[\\'"]|%(?:25)*(?:5[cC]|2[27])|&(?:amp;)*(?:quot|apos|#(?:34|39|92|[xX]0*(?:22|27|5[cC])));|(?<=\\)(?:u00|x)(?:22|27|5[cC]))+`

const blanks = String.raw`(?:[\s+]|(?<!\\)\\+(?:[nrt]|(?:u00|x)(?:20|09|0[aAdD]))|%(?:25)*(?:20|09|0[aAdD]|2[bB])|&(?:amp;)*#(?:9|10|13|32|[xX]0*(?:9|20|[aAdD]));)+`

/** Returns a pattern of one character that is neither a blank nor a quote nor a backslash, by what is before it. */
function spellings(character: string, before: string | undefined): string {
  const code = character.codePointAt(0) ?? 0
  const literal = character.replace(/[$.*+?^()[\]{}|/-]/g, '\\$&')
  const percent = [...Buffer.from(character)].map(byte => `%(?:25)*${anyCase(hex(byte, 2))}`).join('')
  const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
  // the first part must not start at each backslash of a run; quotes before it take the whole run
  const follows = before !== undefined && /^[\\'"]/.test(before)
  const run = follows ? '' : before === undefined ? '(?<!\\\\)\\\\+' : '\\\\+'
  const unicode = units.map((unit, i) => `${i === 0 ? run : '\\\\+'}u${anyCase(hex(unit, 4))}`).join('')
  const all = [percent, unicode, `&(?:amp;)*#(?:${code}|[xX]0*${anyCase(hex(code, 1))});`]
  if (code < 0x100) all.push(`${run}x${anyCase(hex(code, 2))}`)
  const named = { '&': 'amp', '<': 'lt', '>': 'gt' }[character]
  if (named !== undefined) all.push(`&(?:amp;)*${named};`)
  all.push(/[^\w]/.test(character) && code < 0x80 && !follows ? `(?:${run})?${literal}` : literal)
  return `(?:${all.join('|')})`
}

function hex(number: number, width: number): string {
  return number.toString(16).padStart(width, '0')
}

function anyCase(digits: string): string {
  return digits.replace(/[a-f]/g, letter => `[${letter}${letter.toUpperCase()}]`)
}

/** Returns the texts that every base64 text with the secret in it contains, at any offset; and the hexadecimal ones. */
function encodings(value: string): string[] {
  const forms = new Set([
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value),
    ...['\n', '\r\n'].map(end => value.replaceAll('\n', end)),
  ])
  const found = new Set<string>()
  for (const form of forms) {
    const bytes = Buffer.from(form)
    found.add(bytes.toString('hex')).add(bytes.toString('hex').toUpperCase())
    for (const core of base64Cores(bytes))
      for (const text of [core, ...base64Cores(Buffer.from(core))]) {
        found.add(text)
        found.add(text.replaceAll('+', '-').replaceAll('/', '_'))
      }
  }
  // shorter ones are in many texts by chance
  const whole = withoutTrailing(Buffer.from(value).toString('base64'), '=')
  return [...new Set([...[...found].filter(core => core.length >= 6), whole])]
}

/** Returns the characters of a base64 text that depend on these bytes alone, for each offset at which they can begin. */
function base64Cores(bytes: Buffer): string[] {
  return [0, 1, 2].map(offset => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
    return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6))
  })
}

/** Returns a pattern with wrapped lines, and the characters on both sides, which have the rest of the first and last byte. */
function wrapped(core: string): RegExp {
  const gap = '(?:\\s|\\\\+[nrt])*'
  const letters = [...core].map((letter, at) =>
    letter.replace(/[+/]/, at === 0 ? '(?:(?<!\\\\)\\\\+)?\\$&' : '\\\\*\\$&'),
  )
  return new RegExp(`[A-Za-z0-9+/_-]?${letters.join(gap)}${gap}[A-Za-z0-9+/_-]?=*`, 'g')
}

/** Removes private keys, also one without its beginning or end: only the last lines of a log are collected. */
function withoutPrivateKeys(text: string): string {
  let result = ''
  let from = 0
  let inKey = false
  for (const match of text.matchAll(/-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g)) {
    if (match[1] === 'BEGIN') {
      if (!inKey) result += text.slice(from, match.index) + removed
      inKey = true
      continue
    }
    // everything before an END without a BEGIN may be a key
    if (!inKey) result += removed
    inKey = false
    from = match.index + match[0].length
  }
  return inKey ? result : result + text.slice(from)
}

function withoutUrls(text: string): string {
  return text.replace(/\b[a-z][a-z0-9+.-]{0,30}:(?:\\*\/){2}[^\s"'<>`\\]+/gi, url => {
    if (!/[@?]/.test(url)) return url
    const redacted = redactUrl(url)
    if (!redacted.includes('@') || redacted.includes('@sha256:')) return redacted
    // not a URL for a parser, but it may have a password
    return redacted.replace(/:\/\/.*@/, `://${removed}@`).replace(/\?.*/, '?…')
  })
}

/** An environment variable as Kubernetes writes it: `{name: DB_PASSWORD, value: x}`. */
function isNamedSecret(value: object): boolean {
  return 'name' in value && typeof value.name === 'string' && isSecretName(value.name)
}

/** `password=…`, `"token": "…"`, `--secret …`, `Authorization: Bearer …`, `Cookie: …`, as logs have them. */
function maskedAssignments(text: string): string {
  const headers = text
    .replace(/\b(bearer|basic)(\s+)[\w.~+/=-]{6,}/gi, `$1$2${removed}`)
    .replace(
      /\b((?:proxy-)?authorization\W{1,6}(?:digest|negotiate|ntlm|aws4-[\w-]{1,40}))\s[^\n]*/gi,
      `$1 ${removed}`,
    )
    .replace(/\b((?:set-)?cookie\s*:\s*)(?!\[removed\])[^\n"'\\]+/gi, `$1${removed}`)
  let result = ''
  let from = 0
  for (const match of headers.matchAll(assignment)) {
    const start = match.index + match[0].length
    if (start < from || !isSecretName(match[1] ?? match[2] ?? '')) continue
    assigned.lastIndex = start
    const value = assigned.exec(headers)?.[0]
    if (value === undefined || value === removed || isDigest(value.replaceAll('"', ''))) continue
    result += headers.slice(from, start) + removed
    from = start + value.length
  }
  return result + headers.slice(from)
}

/**
 * A name and what separates it from its value: `=`, `:`, or the space after an option. It starts where a word does and never
 * inside one, so that long words take no time.
 */
const assignment =
  /(?<![\p{L}\w.-])(?:([\p{L}\w.-]+)\\*["']?\s?[:=]\s{0,4}|(?<!\/)(--[\p{L}\w./-]+)\s+)(?!(?:bearer|basic|digest|negotiate|ntlm|aws4-[\w-]{1,40})\s{1,4}\[removed\])/giu

/** A value: quoted, quoted inside JSON inside JSON, or one word. */
const assigned =
  /\[removed\]|"(?:[^"\\\n]|\\.)*"|\\+"(?:[^"\\\n]|\\+[^"\\\n])*\\+"|'[^'\n]*'|[^\s,;}\])"'&\\]+/y

/** YAML that cannot be parsed: lines whose key names a secret lose their value and everything indented below it. */
function maskedBlocks(text: string): string {
  return maskedLines(text.split('\n'), { mask: removed, keyless: 'keep' })
    .filter(line => line !== undefined)
    .join('\n')
}
