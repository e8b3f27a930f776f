import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
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
  const document = parsed(text, { file, lines })
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const broken = [...document.errors, ...document.warnings].map(problem => ({
    offset: problem.pos[0],
    what: problem.message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, ''),
  }))
  if (broken.length > 0) throw invalid(broken, { file, place })
  const offsetAt = (path: Path, part: 'key' | 'value' = 'value') => offsetOf(document, { path, part })
  let raw: unknown
  try {
    raw = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    const what = error instanceof Error ? error.message : 'cannot be read'
    throw invalid([{ offset: 0, what }], { file, place })
  }
  const checked = schema.safeParse(raw)
  if (checked.success) return { value: checked.data, at: (path, part) => place(offsetAt(path, part)) }
  const mistakes = checked.error.issues.flatMap(issue => tell(issue, { offsetAt, path: [], schema }))
  throw invalid(mistakes, { file, place })
}

function parsed(text: string, options: { file: string; lines: LineCounter }): Document.Parsed {
  try {
    return parseDocument(text, {
      lineCounter: options.lines,
      uniqueKeys: true,
      resolveKnownTags: false,
      strict: true,
      version: '1.2',
      schema: 'core',
    })
  } catch (error) {
    // the parser is recursive: nesting without end exhausts its stack
    throw new AirgapError('MANIFEST_INVALID', 'nested too deeply to be read', {
      item: options.file,
      likely: 'the file is damaged or no manifest',
      next: initShows,
      cause: error,
    })
  }
}

interface Mistake {
  offset: number
  what: string
}

const initShows = '`airgap init --dry-run` shows every key with an explanation'
/** So many are told; a file of another kind has thousands. */
const maxTold = 50

function invalid(mistakes: Mistake[], where: { file: string; place(offset: number): string }): AirgapError {
  const sorted = [...mistakes].sort((a, b) => a.offset - b.offset)
  const told = [...new Set(sorted.map(({ offset, what }) => `${where.place(offset)}: ${what}`))]
  const more = told.length > maxTold ? `\n  … and ${told.length - maxTold} more` : ''
  const count = told.length === 1 ? '' : ` (${told.length} mistakes)`
  return new AirgapError(
    'MANIFEST_INVALID',
    `the manifest is not right${count}:\n  ${told.slice(0, maxTold).join('\n  ')}${more}`,
    { item: sorted[0] === undefined ? where.file : where.place(sorted[0].offset), next: initShows },
  )
}

type Issue = z.core.$ZodIssue

/** One mistake an issue; a union tells what its nearest member would have wanted. */
function tell(
  issue: Issue,
  context: { offsetAt(path: Path, part?: 'key' | 'value'): number; path: Path; schema: z.core.$ZodType },
): Mistake[] {
  const path = [...context.path, ...issue.path]
  const named = path.join('.') || 'top level'
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(context.schema, path)
    return issue.keys.map(key => {
      const guess = nearest(key, known)
      return {
        offset: context.offsetAt([...path, key], 'key'),
        what: `unknown key "${key}"${guess ? `; did you mean "${guess}"?` : `; known here: ${known.join(', ')}`}`,
      }
    })
  }
  const offset = context.offsetAt(path)
  if (issue.code === 'invalid_union') {
    // the member with the fewest mistakes is what was meant; one that wants another type altogether is not
    const cost = (errors: Issue[]) =>
      errors.reduce((sum, error) => sum + (error.code === 'unrecognized_keys' ? error.keys.length : 1), 0)
    const members = issue.errors
      .filter(errors => !errors.some(error => error.code === 'invalid_type' && error.path.length === 0))
      .sort((a, b) => cost(a) - cost(b))
    const best = members[0]
    if (best) return best.flatMap(inner => tell(inner, { ...context, path }))
    return [{ offset, what: `${named}: must be text or a map` }]
  }
  if (
    issue.code === 'invalid_type' &&
    issue.expected === 'string' &&
    /received (number|boolean)/.test(issue.message)
  )
    return [{ offset, what: `${named}: must be text: write it in quotes` }]
  if (issue.code === 'invalid_type' && /received undefined/.test(issue.message))
    return [{ offset, what: `${named}: is missing` }]
  return [{ offset, what: `${named}: ${issue.message}` }]
}

/** The keys that a map at the path may have; those of every member where it is a union. */
function keysAt(schema: z.core.$ZodType, path: Path): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return keysAt(schema.unwrap(), path)
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(member => keysAt(member, path))
  const [first, ...rest] = path
  if (schema instanceof z.ZodArray && first !== undefined) return keysAt(schema.element, rest)
  if (!(schema instanceof z.ZodObject)) return []
  if (first === undefined) return Object.keys(schema.shape)
  const member: z.core.$ZodType | undefined = schema.shape[String(first)]
  return member === undefined ? [] : keysAt(member, rest)
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
