import { readFile, stat } from 'node:fs/promises'
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { AirgapError, type ErrorCode, fromSystemError } from '../core/errors.ts'
import { yamlFaults } from '../document/yaml-faults.ts'

// Files of others that a conversion reads: read whole, bounded, and never told in a message where they may hold secrets.

const maxSize = 4 << 20 /* bytes */

export async function textOf(path: string, code: ErrorCode = 'SITE_INVALID'): Promise<string> {
  let text: string
  try {
    const found = await stat(path)
    if (!found.isFile()) throw invalid(path, 'it is no file', code)
    if (found.size > maxSize) throw invalid(path, `larger than ${maxSize >> 20} MiB`, code)
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path))
  } catch (error) {
    if (error instanceof TypeError) throw invalid(path, 'it is not UTF-8 text', code)
    throw fromSystemError(error, path)
  }
  const control = text.search(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/)
  if (control < 0) return text
  const line = text.slice(0, control).split('\n').length
  throw invalid(`${path}:${line}`, 'it has control characters: it is no text', code)
}

/** Parsed, with the line of every key; what the parser says is told without the text it says it of, which may be a secret. */
export function yamlOf(
  text: string,
  { file, code }: { file: string; code: ErrorCode },
): { value: unknown; line: (path: readonly string[]) => number } {
  const lines = new LineCounter()
  const fault = (offset: number, what: string) => {
    const { line, col } = lines.linePos(offset)
    return invalid(`${file}:${line}:${col}`, what.split(/\n|: | at line|\\/)[0]!, code)
  }
  try {
    const document = parseDocument(text, {
      ...{ lineCounter: lines, uniqueKeys: false, merge: true, logLevel: 'error' },
    })
    const [problem] = document.errors
    if (problem !== undefined) throw fault(problem.pos[0], problem.message)
    const [other] = yamlFaults(document)
    if (other !== undefined)
      throw fault(
        other.offset,
        other.what.startsWith('*')
          ? 'an alias (*…) without its anchor; quote a value that begins with *'
          : other.what,
      )
    const keys = new WeakMap<object, Map<string, { key: unknown; value: unknown }>>()
    const line = (path: readonly string[]) => {
      let node: unknown = document.contents
      let offset = 0
      for (const part of path) {
        if (!isMap(node)) break
        const known =
          keys.get(node) ??
          new Map(node.items.map(pair => [String(isScalar(pair.key) ? pair.key.value : ''), pair]))
        keys.set(node, known)
        const pair = known.get(part)
        if (isScalar(pair?.key)) offset = pair.key.range?.[0] ?? offset
        node = pair?.value
      }
      return lines.linePos(offset).line
    }
    return { value: document.toJS({ maxAliasCount: 100 }), line }
  } catch (error) {
    if (error instanceof AirgapError) throw error
    const deep = error instanceof RangeError
    throw invalid(`${file}:1`, deep ? 'nested too deeply' : 'its aliases (*…) make it too large', code)
  }
}

export function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}

export function plain(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return typeof value === 'string' && !value.startsWith('$ANSIBLE_VAULT') ? value : undefined
}

export function isTemplate(text: string): boolean {
  return /\{\{|\{%|\{#/.test(text)
}

/** Values hold text of others: what a terminal and a line can bear. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100))
}

export function invalid(item: string, what: string, code: ErrorCode = 'SITE_INVALID'): AirgapError {
  const values = code === 'VALUES_INVALID'
  return new AirgapError(code, `the ${values ? 'values file' : 'inventory'} cannot be read: ${what}`, {
    item,
    likely: 'another kind of file, or one that was edited and is none any more',
    next: values
      ? 'correct it, or leave --values out; nothing was written'
      : 'correct it, or name the machines with `init --node`; nothing was written',
  })
}
