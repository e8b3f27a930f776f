import { z } from 'zod'
import { AirgapError, type ErrorCode } from '../core/errors.ts'
import { nearNames } from '../core/near-names.ts'
import { redactText } from '../core/redact.ts'
import { readYaml } from './parse-yaml.ts'
import { type Path, type PathOffsets, pathOffsets } from './path-offsets.ts'
import type { YamlFault } from './yaml-faults.ts'

/** A value that knows where each part of it was written. */
export interface Positioned<T> {
  value: T
  /** `file:line:column` of the value (or of its key) at the path */
  at(path: Path, part?: 'key' | 'value'): string
}

/** A YAML document checked against a schema. */
export interface PositionedDocument<T> extends Positioned<T> {
  /** Throws all of them in one error, in the form of the schema's own mistakes; does nothing if there are none. */
  refuse(mistakes: readonly Mistake[]): void
}

/** A mistake that no schema can express, such as two parts that contradict each other. */
export interface Mistake {
  path: Path
  part?: 'key' | 'value'
  what: string
}

/** The words for an invalid document of this kind. */
export interface DocumentWords {
  code: ErrorCode
  /** "the manifest is invalid" */
  what: string
  next: string
  /** shows the line of a YAML mistake; not for documents that hold secrets */
  quotesLines?: true
}

/**
 * Parses and checks a document; reports all mistakes together, each with `file:line:column`. Duplicate keys, unknown tags and
 * aliases that multiply are mistakes, too (fault 59).
 */
export function parsePositioned<S extends z.ZodType>(
  text: string,
  options: { file: string; schema: S; words: DocumentWords },
): PositionedDocument<z.infer<S>> {
  const { file, schema, words } = options
  const { document, faults, value, position } = readYaml(text)
  const place = (offset: number) => {
    const { line, column } = position(offset)
    return `${file}:${line}:${column}`
  }
  if (faults.length > 0) {
    const quote = (offset: number) => (words.quotesLines ? quotedLine(text, position(offset)) : [])
    throw invalid(faults, { place, words, quote })
  }
  const offsetAt = pathOffsets(document)
  const checked = schema.safeParse(value)
  if (checked.success) {
    return {
      value: checked.data,
      at: (path, part) => place(offsetAt(path, part)),
      refuse(mistakes) {
        const found = mistakes.map(({ path, part, what }) => ({ offset: offsetAt(path, part), what }))
        if (found.length > 0) throw invalid(found, { place, words })
      },
    }
  }
  const mistakes = checked.error.issues.flatMap(issue =>
    mistakesOf(issue, { offsetAt, value, path: [], schema, base: 0 }),
  )
  throw invalid(mistakes, { place, words })
}

const quotedWidth = 72 /* characters */

/** The line with a caret under the column, as compilers show it; passwords in URLs are masked. */
function quotedLine(text: string, { line, column }: { line: number; column: number }): string[] {
  const written = (text.split('\n')[line - 1] ?? '').replaceAll('\t', ' ')
  // a masked password moves what follows it
  const caret = redactText(written.slice(0, column - 1)).length
  const start = Math.max(0, caret - quotedWidth + 12)
  const shown = redactText(written).slice(start, start + quotedWidth)
  const number = String(line).padStart(6)
  return [`${number} | ${shown}`, `${' '.repeat(number.length)} | ${' '.repeat(caret - start)}^`]
}

/** At most this many are listed: a file of another kind has thousands. */
const maxListed = 50

function invalid(
  mistakes: YamlFault[],
  {
    place,
    words,
    quote = () => [],
  }: { place(offset: number): string; words: DocumentWords; quote?: (offset: number) => string[] },
): AirgapError {
  const sorted = mistakes.toSorted((a, b) => a.offset - b.offset)
  const listed = new Map(
    sorted.map(({ offset, what }) => [`${place(offset)}: ${what.slice(0, 500)}`, offset]),
  )
  const lines = [...listed]
    .slice(0, maxListed)
    .flatMap(([line, offset]) => [`  ${line}`, ...quote(offset).map(one => `  ${one}`)])
  const more = listed.size > maxListed ? [`  … and ${listed.size - maxListed} more`] : []
  const count = listed.size === 1 ? '' : ` (${listed.size} mistakes)`
  return new AirgapError(words.code, [`${words.what}${count}:`, ...lines, ...more], {
    item: place(sorted[0]?.offset ?? 0),
    next: words.next,
  })
}

type Issue = z.core.$ZodIssue

interface Context {
  offsetAt: PathOffsets
  /** of the whole document */
  value: unknown
  path: Path
  /** the schema of what the first `base` parts of the path lead to: one member where they lead to a union */
  schema: z.core.$ZodType
  base: number
  /** the other members of that union */
  others?: readonly z.core.$ZodType[]
}

/** The mistakes of an issue: one, or those of a union's nearest member. */
function mistakesOf(issue: Issue, context: Context): YamlFault[] {
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
    case 'invalid_key':
      return issue.issues.map(({ message }) => ({
        offset: context.offsetAt(path, 'key'),
        what: `${named}: ${message}`,
      }))
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
  // a key of another member of a union
  if ([schema, ...others].some(one => keysAt(one, inside).includes(key)))
    return `"${key}" is incompatible with the other keys here`
  const [guess] = nearNames(key, known, { sameStart: true })
  return `unknown key ${JSON.stringify(key.slice(0, 100))}${guess ? `; did you mean "${guess}"?` : `; known here: ${known.join(', ')}`}`
}

type UnionIssue = z.core.$ZodIssueInvalidUnion

/**
 * The mistakes against the member of a union that the written keys point to (`sources` belongs to one form of an entry only), else against
 * the one with the fewest; undefined where every member requires another type altogether.
 */
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
  // a misspelled key says more about the intended member than a key that none has
  const costOf = (error: Issue, member: z.core.$ZodType) =>
    error.code === 'unrecognized_keys'
      ? error.keys.reduce(
          (sum, key) => sum + (nearNames(key, keysAt(member, error.path)).length > 0 ? 1 : 2),
          0,
        )
      : 2
  const written = Object.keys(Object(path.reduce((part, key) => Object(part)[key], context.value)))
  const ownKeys = ({ schema, others = [] }: Context) =>
    written.filter(
      key => keysAt(schema, []).includes(key) && !others.every(other => keysAt(other, []).includes(key)),
    ).length
  const [nearest] = issue.errors
    .map((errors, i) => ({ errors, context: contexts[i] }))
    .filter(({ errors }) => !errors.some(error => error.code === 'invalid_type' && error.path.length === 0))
    .flatMap(({ errors, context: member }) =>
      member === undefined
        ? []
        : [
            {
              errors,
              member,
              written: ownKeys(member),
              cost: errors.reduce((sum, error) => sum + costOf(error, member.schema), 0),
            },
          ],
    )
    .sort((a, b) => b.written - a.written || a.cost - b.cost)
  return nearest?.errors.flatMap(error => mistakesOf(error, nearest.member))
}

/** The keys that a map at the path may have; of a union, those of every member. */
function keysAt(schema: z.core.$ZodType, path: Path): string[] {
  const found = schemaAt(schema, path)
  if (found instanceof z.ZodUnion) return found.options.flatMap(member => keysAt(member, []))
  return found instanceof z.ZodObject ? Object.keys(found.shape) : []
}

/** The schema of the value at the path. */
function schemaAt(schema: z.core.$ZodType | undefined, path: Path): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault)
    return schemaAt(schema.unwrap(), path)
  const [first, ...rest] = path
  if (first === undefined) return schema
  if (schema instanceof z.ZodArray) return schemaAt(schema.element, rest)
  if (schema instanceof z.ZodObject) return schemaAt(schema.shape[String(first)], rest)
  return undefined
}
