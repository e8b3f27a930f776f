import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml'
import { z } from 'zod'
import { AirgapError, type ErrorCode } from '../core/errors.ts'
import { nearNames } from '../core/near-names.ts'
import { type YamlFault, yamlFaults } from './yaml-faults.ts'

type Path = readonly PropertyKey[]

/** A value that can still say where each part of it was written. */
export interface Positioned<T> {
  value: T
  /** `file:line:column` of what stands at the path */
  at(path: Path, part?: 'key' | 'value'): string
}

/** A YAML document checked against a schema. */
export interface PositionedDocument<T> extends Positioned<T> {
  /** Throws all of them, as mistakes of form are told; does nothing where there are none. */
  refuse(mistakes: readonly Mistake[]): void
}

/** What no schema can say: two parts that do not go together. */
export interface Mistake {
  path: Path
  part?: 'key' | 'value'
  what: string
}

/** How mistakes of this kind of file are told. */
export interface DocumentWords {
  code: ErrorCode
  /** "the manifest is not right" */
  what: string
  next: string
}

/**
 * Parses and checks; all mistakes are told at once, each with `file:line:column`. Duplicate keys, unknown tags and
 * aliases that explode are mistakes (fault 59).
 */
export function parsePositioned<S extends z.ZodType>(
  text: string,
  options: { file: string; schema: S; words: DocumentWords },
): PositionedDocument<z.infer<S>> {
  const { file, schema, words } = options
  const lines = new LineCounter()
  const document = parsed(text, { file, lines, words })
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const broken = [...document.errors, ...document.warnings].map(problem => ({
    offset: problem.pos[0],
    what: wordsOf(problem.message),
  }))
  if (broken.length === 0) broken.push(...yamlFaults(document))
  if (broken.length > 0) throw invalid(broken, { file, place, words })
  const pairs = pairTable()
  const offsetAt = (path: Path, part: 'key' | 'value' = 'value') => offsetOf(document, { path, part, pairs })
  let raw: unknown
  try {
    raw = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    const what = error instanceof Error ? error.message : 'cannot be read'
    throw invalid([{ offset: 0, what }], { file, place, words })
  }
  const checked = schema.safeParse(raw)
  if (checked.success) {
    return {
      value: checked.data,
      at: (path, part) => place(offsetAt(path, part)),
      refuse(found) {
        const faults = found.map(({ path, part, what }) => ({ offset: offsetAt(path, part), what }))
        if (faults.length > 0) throw invalid(faults, { file, place, words })
      },
    }
  }
  const mistakes = checked.error.issues.flatMap(issue => tell(issue, { offsetAt, path: [], schema, base: 0 }))
  throw invalid(mistakes, { file, place, words })
}

/** The first line of what the parser says, without its own place. */
function wordsOf(message: string): string {
  if (message.startsWith('Maximum call stack')) return nestedTooDeeply
  return message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '')
}

const nestedTooDeeply = 'nested too deeply to be read'

function parsed(
  text: string,
  options: { file: string; lines: LineCounter; words: DocumentWords },
): Document.Parsed {
  try {
    return parseDocument(text, {
      lineCounter: options.lines,
      // found by yamlFaults, in less time
      uniqueKeys: false,
      resolveKnownTags: false,
      strict: true,
      // what it warns of is a mistake here, and told as one
      logLevel: 'error',
      version: '1.2',
      schema: 'core',
    })
  } catch (error) {
    // the parser is recursive: nesting without end exhausts its stack
    throw new AirgapError(options.words.code, nestedTooDeeply, {
      item: options.file,
      likely: 'the file is damaged, or another kind of file',
      next: options.words.next,
      cause: error,
    })
  }
}

/** So many are told; a file of another kind has thousands. */
const maxTold = 50

function invalid(
  mistakes: YamlFault[],
  where: { file: string; place(offset: number): string; words: DocumentWords },
): AirgapError {
  const sorted = [...mistakes].sort((a, b) => a.offset - b.offset)
  const told = [...new Set(sorted.map(({ offset, what }) => `${where.place(offset)}: ${what.slice(0, 500)}`))]
  const more = told.length > maxTold ? `\n  … and ${told.length - maxTold} more` : ''
  const count = told.length === 1 ? '' : ` (${told.length} mistakes)`
  return new AirgapError(
    where.words.code,
    `${where.words.what}${count}:\n  ${told.slice(0, maxTold).join('\n  ')}${more}`,
    { item: sorted[0] === undefined ? where.file : where.place(sorted[0].offset), next: where.words.next },
  )
}

type Issue = z.core.$ZodIssue

interface Context {
  offsetAt(path: Path, part?: 'key' | 'value'): number
  path: Path
  /** what is meant to stand at the first `base` parts of the path: a member, where a union is on the way */
  schema: z.core.$ZodType
  base: number
  /** the other members of that union */
  others?: readonly z.core.$ZodType[]
}

/** One mistake an issue; a union tells what its nearest member would have wanted. */
function tell(issue: Issue, context: Context): YamlFault[] {
  const path = [...context.path, ...issue.path]
  const named = path.join('.') || 'top level'
  const offset = context.offsetAt(path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map(key => ({
        offset: context.offsetAt([...path, key], 'key'),
        what: unknownKey(key, { context, path }),
      }))
    case 'invalid_union':
      return nearestMember(issue, { context, path }) ?? [{ offset, what: `${named}: must be text or a map` }]
    case 'invalid_type':
      if (/received undefined/.test(issue.message)) return [{ offset, what: `${named}: is missing` }]
      if (issue.expected === 'string' && /received (number|boolean)/.test(issue.message))
        return [{ offset, what: `${named}: must be text: write it in quotes` }]
      return [{ offset, what: `${named}: must be ${typeWords[issue.expected] ?? issue.expected}` }]
    case 'invalid_value':
      return [{ offset, what: `${named}: must be ${issue.values.map(String).join(' or ')}` }]
    case 'too_small':
      return [{ offset, what: `${named}: must not be empty` }]
    default:
      return [{ offset, what: `${named}: ${issue.message}` }]
  }
}

const typeWords: Record<string, string> = {
  array: 'a list',
  object: 'a map',
  record: 'a map',
  string: 'text',
  boolean: 'true or false',
}

function unknownKey(key: string, at: { context: Context; path: Path }): string {
  const { schema, base, others = [] } = at.context
  const inside = at.path.slice(base)
  const known = keysAt(schema, inside)
  // of another member of a union
  if ([schema, ...others].some(one => keysAt(one, inside).includes(key)))
    return `"${key}" does not go together with the other keys here`
  const [guess] = nearNames(key, known)
  return `unknown key "${key}"${guess ? `; did you mean "${guess}"?` : `; known here: ${known.join(', ')}`}`
}

type UnionIssue = z.core.$ZodIssueInvalidUnion

/** What the member with the fewest mistakes says; undefined where every one wants another type altogether. */
function nearestMember(issue: UnionIssue, at: { context: Context; path: Path }): YamlFault[] | undefined {
  const { context, path } = at
  const union = schemaAt(context.schema, path.slice(context.base))
  const members = union instanceof z.ZodUnion ? union.options : []
  const contexts = members.map(
    (schema, i): Context => ({
      ...context,
      path,
      schema,
      base: path.length,
      others: members.filter((_, j) => j !== i),
    }),
  )
  // a key that is nearly right says more about what was meant than one that is unknown everywhere
  const costOf = (error: Issue, member: z.core.$ZodType) =>
    error.code === 'unrecognized_keys'
      ? error.keys.reduce(
          (sum, key) => sum + (nearNames(key, keysAt(member, error.path)).length > 0 ? 1 : 2),
          0,
        )
      : 2
  const told = issue.errors
    .map((errors, i) => ({ errors, context: contexts[i] }))
    .filter(({ errors }) => !errors.some(error => error.code === 'invalid_type' && error.path.length === 0))
    .flatMap(({ errors, context: member }) =>
      member === undefined
        ? []
        : [{ errors, member, cost: errors.reduce((sum, error) => sum + costOf(error, member.schema), 0) }],
    )
    .sort((a, b) => a.cost - b.cost)
  return told[0]?.errors.flatMap(error => tell(error, told[0]!.member))
}

/** The keys that a map at the path may have, those of every member where it is a union. */
function keysAt(schema: z.core.$ZodType, path: Path): string[] {
  const found = schemaAt(schema, path)
  if (found instanceof z.ZodUnion) return found.options.flatMap(member => keysAt(member, []))
  return found instanceof z.ZodObject ? Object.keys(found.shape) : []
}

/** What is meant to stand at the path. */
function schemaAt(schema: z.core.$ZodType | undefined, path: Path): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault)
    return schemaAt(schema.unwrap(), path)
  const [first, ...rest] = path
  if (first === undefined) return schema
  if (schema instanceof z.ZodArray) return schemaAt(schema.element, rest)
  if (schema instanceof z.ZodObject) return schemaAt(schema.shape[String(first)], rest)
  return undefined
}

type PairTable = (map: YAMLMap, key: string) => Pair | undefined

/** The pairs of each map by key, made when first asked for: a map of 100,000 mistakes is not searched as often. */
function pairTable(): PairTable {
  const tables = new WeakMap<YAMLMap, Map<string, Pair>>()
  return (map, key) => {
    let table = tables.get(map)
    if (table === undefined) {
      table = new Map(
        map.items.flatMap(pair => (isScalar(pair.key) ? [[String(pair.key.value), pair] as const] : [])),
      )
      tables.set(map, table)
    }
    return table.get(key)
  }
}

/** Offset of the value (or of its key) at the path, or of its nearest parent that is there. */
function offsetOf(
  document: Document.Parsed,
  wanted: { path: Path; part: 'key' | 'value'; pairs: PairTable },
): number {
  let node: unknown = document.contents
  let offset = startOf(node) ?? 0
  wanted.path.forEach((part, i) => {
    const last = i === wanted.path.length - 1
    if (isMap(node)) {
      const pair = wanted.pairs(node, String(part))
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
