import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { AirgapError } from '../core/errors.ts'

type Path = readonly PropertyKey[]

/** A YAML document checked against a schema, that can still say where each part of it stands. */
export interface PositionedDocument<T> {
  value: T
  /** `file:line:column` of what stands at the path */
  at(path: Path, part?: 'key' | 'value'): string
}

/**
 * Parses and checks; all mistakes are told at once, each with `file:line:column`. Duplicate keys, unknown tags and
 * aliases that explode are mistakes (fault 59).
 */
export function parseManifestDocument<S extends z.ZodType>(
  text: string,
  options: { file: string; schema: S },
): PositionedDocument<z.infer<S>> {
  const { file, schema } = options
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    strict: true,
    version: '1.2',
    schema: 'core',
  })
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const problems = [...document.errors, ...document.warnings].map(
    problem =>
      `${place(problem.pos[0])}: ${problem.message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '')}`,
  )
  if (problems.length > 0) throw invalid(file, problems)
  const at = (path: Path, part: 'key' | 'value' = 'value') => place(offsetOf(document, { path, part }))
  let raw: unknown
  try {
    raw = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    throw invalid(file, [`${file}:1:1: ${error instanceof Error ? error.message : 'cannot be read'}`])
  }
  const parsed = schema.safeParse(raw)
  if (parsed.success) return { value: parsed.data, at }
  throw invalid(
    file,
    parsed.error.issues.flatMap(issue => tell(issue, { at, path: [], schemaKeys: topLevelKeys(schema) })),
  )
}

function invalid(file: string, problems: string[]): AirgapError {
  const sorted = [...new Set(problems)]
  const count = sorted.length === 1 ? '' : ` (${sorted.length} mistakes)`
  return new AirgapError('MANIFEST_INVALID', `the manifest is not right${count}:\n  ${sorted.join('\n  ')}`, {
    item: sorted[0]?.split(': ')[0] ?? file,
    next: '`airgap init --dry-run` shows every key with an explanation',
  })
}

type Issue = z.core.$ZodIssue

/** One line an issue; a union tells what its nearest member would have wanted. */
function tell(
  issue: Issue,
  context: { at(path: Path, part?: 'key' | 'value'): string; path: Path; schemaKeys: string[] },
): string[] {
  const path = [...context.path, ...issue.path]
  const where = context.at(path)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => {
      const guess = nearest(key, path.length === 0 ? context.schemaKeys : [])
      return `${context.at([...path, key], 'key')}: unknown key "${key}"${guess ? `; did you mean "${guess}"?` : ''}`
    })
  }
  if (issue.code === 'invalid_union') {
    // the member that got furthest: the one whose mistakes lie deepest, or are of keys rather than of type
    const members = issue.errors.filter(
      errors => !errors.some(error => error.code === 'invalid_type' && error.path.length === 0),
    )
    const best = members[0]
    if (best) return best.flatMap(inner => tell(inner, { ...context, path }))
    return [`${where}: ${path.join('.')}: must be text or a map`]
  }
  return [`${where}: ${path.join('.') || 'top level'}: ${issue.message}`]
}

function topLevelKeys(schema: z.ZodType): string[] {
  return 'shape' in schema && typeof schema.shape === 'object' && schema.shape !== null
    ? Object.keys(schema.shape)
    : []
}

/** The known key at most two edits away. */
function nearest(key: string, known: string[]): string | undefined {
  return known
    .map(name => ({ name, edits: distance(key, name) }))
    .filter(({ edits }) => edits <= 2)
    .sort((a, b) => a.edits - b.edits)[0]?.name
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

/** Offset of the value (or of its key) at the path, or of its nearest parent that is there. */
function offsetOf(document: Document.Parsed, wanted: { path: Path; part: 'key' | 'value' }): number {
  let node: unknown = document.contents
  let offset = startOf(node) ?? 0
  wanted.path.forEach((part, i) => {
    const last = i === wanted.path.length - 1
    if (isMap(node)) {
      const pair = node.items.find(item => isScalar(item.key) && String(item.key.value) === String(part))
      const key = startOf(pair?.key)
      offset = (last && wanted.part === 'key' ? key : (startOf(pair?.value) ?? key)) ?? offset
      node = pair?.value
    } else {
      node = isSeq(node) && typeof part === 'number' ? node.items[part] : undefined
      offset = startOf(node) ?? offset
    }
  })
  return offset
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}
