import { parseAllDocuments, stringify } from 'yaml'
import { isDigest } from '../core/digest.ts'
import { redactUrl } from '../core/redact.ts'

/** What stands where something secret stood. */
export const removed = '[removed]'

/** Shorter ones cannot be told from other text. */
const shortest = 3
const secretKey = /passw|passphrase|secret|token|credential|key|authorization|cookie/i

/**
 * Takes secrets out of texts: the known ones wherever they stand, in whatever form (JSON, URL, HTML, shell, hexadecimal, base64, base64 of a
 * longer text), private keys, and the user, password and query of each URL.
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
    // one that is part of another must not leave the rest of it behind
    this.#values = [...values].sort((a, b) => b.length - a.length || (a < b ? -1 : 1))
    this.#spelled = this.#values.map(value => new RegExp([...value].map(spellings).join(''), 'g'))
    this.#encoded = new Map(this.#values.flatMap(encodings).map(core => [core, wrapped(core)]))
  }

  /** A text of any form: a log, a program's output. */
  text(text: string): string {
    return maskedAssignments(this.#known(withoutUrls(this.#known(withoutPrivateKeys(text)))))
  }

  /** YAML or JSON: values whose key looks secret go, whatever they are. What cannot be read is treated as a text. */
  document(text: string, format: 'json' | 'yaml'): string {
    try {
      if (format === 'json') return `${JSON.stringify(this.value(JSON.parse(text)), null, 2)}\n`
      const documents = parseAllDocuments(text)
      if ('empty' in documents) return ''
      return documents
        .map(document => {
          if (document.errors.length > 0) throw document.errors[0]
          return stringify(this.value(document.toJS({ maxAliasCount: 100 })), {
            aliasDuplicateObjects: false,
            lineWidth: 0,
          })
        })
        .join('---\n')
    } catch {
      return this.text(maskedBlocks(text))
    }
  }

  /** The same for JSON values. */
  value(value: unknown, secret = false): unknown {
    if (Array.isArray(value)) return value.map(one => this.value(one, secret))
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [
          this.text(key),
          this.value(inner, secret || secretKey.test(key)),
        ]),
      )
    if (typeof value === 'boolean' || value === null || value === undefined) return value
    // what decided about a step, and what content is called, is no secret
    if (typeof value === 'string' && isDigest(value)) return value
    if (secret) return removed
    if (typeof value === 'string') return this.text(value)
    return this.#values.includes(String(value)) ? removed : value
  }

  #known(text: string): string {
    let result = text
    for (const spelled of this.#spelled) result = result.replace(spelled, removed)
    // looked for in a text without line ends, where no encoding is wrapped: that is quick, replacing is not
    const squeezed = result.replace(/\\+[nrt]|[\s\\]/g, '')
    for (const [core, pattern] of this.#encoded)
      if (squeezed.includes(core)) result = result.replace(pattern, removed)
    return withoutCutOnes(result, this.#values)
  }
}

/** A pattern has to be of a reasonable size: a long secret is taken out in parts. */
function parts(value: string): string[] {
  if (value.length <= 256) return [value]
  const count = Math.ceil(value.length / 256)
  const size = Math.ceil(value.length / count)
  return Array.from({ length: count }, (_, i) => value.slice(i * size, (i + 1) * size))
}

/** Lines that were cut when they were written may end in the first half of a secret. */
function withoutCutOnes(text: string, values: readonly string[]): string {
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

/** One character as JSON, URLs, HTML, YAML and shells may spell it, each also inside another. */
function spellings(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const literal = character.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
  const percent = [...Buffer.from(character)].map(byte => `%(?:25)*${anyCase(hex(byte, 2))}`).join('')
  const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
  const unicode = units.map(unit => `\\\\+u${anyCase(hex(unit, 4))}`).join('')
  const all = [percent, unicode, `&(?:amp;)*#(?:${code}|[xX]0*${anyCase(hex(code, 1))});`]
  if (code < 0x100) all.push(`\\\\+x${anyCase(hex(code, 2))}`)
  const named = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot', "'": 'apos' }[character]
  if (named !== undefined) all.push(`&(?:amp;)*${named};`)
  if (character === '\\') all.push('\\\\+')
  else if (/[^\w]/.test(character) && code < 0x80) all.push(`\\\\*${literal}`)
  else all.push(literal)
  if (character === "'") all.push("''", `'\\\\+''`, `'"'"'`)
  if (character === '"') all.push('""')
  if (/\s/.test(character)) all.push('\\s+', '\\+', '\\\\+[nrt]')
  return `(?:${all.join('|')})`
}

function hex(number: number, width: number): string {
  return number.toString(16).padStart(width, '0')
}

function anyCase(digits: string): string {
  return digits.replace(/[a-f]/g, letter => `[${letter}${letter.toUpperCase()}]`)
}

/** What each base64 text has in it that has the secret in it, wherever it stands there; and hexadecimal ones. */
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
  // shorter ones are in too many texts by chance
  const whole = Buffer.from(value).toString('base64').replace(/=+$/, '')
  return [...new Set([...[...found].filter(core => core.length >= 6), whole])]
}

/** The characters of a base64 text that depend on these bytes alone, for each place where they can begin. */
function base64Cores(bytes: Buffer): string[] {
  return [0, 1, 2].map(offset => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
    return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6))
  })
}

/** Wrapped lines, and the characters beside it, which hold the rest of its first and last byte. */
function wrapped(core: string): RegExp {
  const gap = '(?:\\s|\\\\+[nrt])*'
  const letters = [...core].map(letter => letter.replace(/[+/]/, '\\\\*\\$&'))
  return new RegExp(`[A-Za-z0-9+/_-]?${letters.join(gap)}${gap}[A-Za-z0-9+/_-]?=*`, 'g')
}

/** Whole, or without its beginning or end: of a log only the last lines are taken. */
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
    // what stands before an end without a beginning may be a key
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
    // no URL for a parser, but a password in it all the same
    return redacted.replace(/:\/\/.*@/, `://${removed}@`).replace(/\?.*/, '?…')
  })
}

/** `password=…`, `"token": "…"`, `--secret …`, `Authorization: Bearer …`, as logs have them. */
function maskedAssignments(text: string): string {
  const names = 'passw|passphrase|secret|token|credential|api_?key|private_?key|secret_?key|key-data'
  // from the beginning of a word, and without going back in it: long ones take no time
  const begin = '(?<![\\w.-])'
  const word = `(?=[\\w.-]*(?:${names}))[\\w.-]+`
  const plain = '"(?:[^"\\\\\\n]|\\\\.)*"'
  // JSON in JSON
  const escaped = '\\\\+"(?:[^"\\\\\\n]|\\\\+[^"\\\\\\n])*\\\\+"'
  const value = `(?:\\[removed\\]|${plain}|${escaped}|'[^'\\n]*'|[^\\s,;}\\])"'&\\\\]+)`
  return text
    .replace(/\b(bearer|basic)(\s+)[\w.~+/=-]{6,}/gi, `$1$2${removed}`)
    .replace(new RegExp(`(${begin}${word}\\\\*["']?\\s?[:=]\\s{0,4})${value}`, 'gi'), `$1${removed}`)
    .replace(new RegExp(`(${begin}--${word}\\s+)${value}`, 'gi'), `$1${removed}`)
}

/** YAML that cannot be read: lines whose key looks secret lose their value, and what stands deeper below them. */
function maskedBlocks(text: string): string {
  let below = Number.POSITIVE_INFINITY
  return text
    .split('\n')
    .flatMap(line => {
      const indent = line.search(/\S/)
      if (indent < 0) return [line]
      if (indent > below) return []
      below = Number.POSITIVE_INFINITY
      const [, key] = /^(\s*(?:- +)*["']?[\w./-]+["']?\s*:)/.exec(line) ?? []
      if (key === undefined || !secretKey.test(key)) return [line]
      below = indent
      return [`${key} ${removed}`]
    })
    .join('\n')
}
