import { AirgapError, type ErrorCode } from '../core/errors.ts'
import { readYaml } from '../document/parse-yaml.ts'
import { pathOffsets } from '../document/path-offsets.ts'
import { readText } from '../document/read-text.ts'

// Files that a conversion reads and that others wrote. They may hold secrets: no message quotes them.

const maxSize = 4 << 20 /* bytes */

/** Reads a file whole. Throws `code` for anything but text; FILE_NOT_FOUND, PERMISSION, IO. */
export async function textOf(path: string, code: ErrorCode = 'SITE_INVALID'): Promise<string> {
  const text = await readText(path, { maxSize, invalid: what => invalid(path, what, code) })
  const control = text.search(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/)
  if (control < 0) return text
  const line = text.slice(0, control).split('\n').length
  throw invalid(`${path}:${line}`, 'the file has control characters: it is not text', code)
}

/** Parses YAML; `line` returns the line of the key at a path. Throws `code` with the place of the first mistake. */
export function yamlOf(
  text: string,
  { file, code }: { file: string; code: ErrorCode },
): { value: unknown; line: (path: readonly string[]) => number } {
  const { document, faults, value, position } = readYaml(text, { merge: true, tags: 'ignore' })
  const [fault] = faults
  if (fault !== undefined) {
    const { line, column } = position(fault.offset)
    const what = fault.what.startsWith('*')
      ? 'an alias (*…) without its anchor; quote a value that starts with *'
      : fault.what
    throw invalid(`${file}:${line}:${column}`, what, code)
  }
  const offsetAt = pathOffsets(document)
  return { value, line: path => position(offsetAt(path, 'key')).line }
}

export function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}

/** A scalar as text; undefined for anything else and for a value that ansible-vault encrypted. */
export function plain(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return typeof value === 'string' && !value.startsWith('$ANSIBLE_VAULT') ? value : undefined
}

export function isTemplate(text: string): boolean {
  return /\{\{|\{%|\{#/.test(text)
}

/** Text of others, safe for a terminal and short enough for a line. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100))
}

export function invalid(item: string, what: string, code: ErrorCode = 'SITE_INVALID'): AirgapError {
  const values = code === 'VALUES_INVALID'
  return new AirgapError(code, `the ${values ? 'values file' : 'inventory'} is unreadable: ${what}`, {
    item,
    likely: 'it is another kind of file, or an edit made it invalid',
    next: values
      ? 'correct it, or omit --values; nothing was written'
      : 'correct it, or name the machines with `init --node`; nothing was written',
  })
}
