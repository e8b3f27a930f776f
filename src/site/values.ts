import { isDeepStrictEqual } from 'node:util'
import { isMap, isScalar, type Pair, type ParsedNode, parseDocument, type YAMLMap } from 'yaml'
import { AirgapError } from '../core/errors.ts'

/** What the site writes into `environments/<env>/values.yaml`. */
export interface OfflineValues {
  /** host:port of the site's registry, no scheme */
  registry: string
  /** URL of the site's HTTP server, no slash at the end */
  httpServer: string
}

/** A values file is text that people write; more is an attack on memory. */
export const maxValuesSize = 4 << 20 /* bytes */
/** A file of ours has none; charts' values reuse an anchor some dozens of times. */
const maxAliases = 1_000

type OfflineKey = keyof OfflineValues
const keys: OfflineKey[] = ['registry', 'httpServer']

/** Replaces `[start, end)` of the text. */
interface Edit {
  start: number
  end: number
  text: string
}

type ValuesMap = YAMLMap.Parsed<ParsedNode, ParsedNode | null>

/**
 * Sets `offline.registry` and `offline.httpServer` in the text of a values file. Only the bytes of these two scalars change
 * (or are added): comments, order, quoting, line ends and indentation of everything else stay. Throws VALUES_INVALID, naming
 * line and column, where the file is not one that can be edited so.
 */
export function setOfflineValues(text: string, values: OfflineValues, name: string): string {
  const before = parseValues(text, name)
  const edited = apply(text, editsFor(before, { text, values, name }))
  if (edited === text) return text
  const after = plainMap(parseValues(edited, name), name)
  if (!isDeepStrictEqual(after, plainMap(setInDocument(before, values), name))) throw notEditable(name)
  return edited
}

/** The same change by the document's own means, to compare with: aliases of an anchored value follow it. */
function setInDocument(document: Values, values: OfflineValues): Values {
  if (!isMap(document.get('offline'))) {
    document.setIn(['offline'], document.createNode(values))
    return document
  }
  for (const key of keys) {
    const path = ['offline', key]
    const scalar = document.hasIn(path) ? document.getIn(path, true) : undefined
    if (isScalar(scalar)) scalar.value = values[key]
    else document.setIn(path, values[key])
  }
  return document
}

/** The two values as the file has them; undefined where they are missing or no text. */
export function readOfflineValues(text: string, name: string): Partial<OfflineValues> {
  const offline = offlineOf(parseValues(text, name), name)
  const found: Partial<OfflineValues> = {}
  for (const key of keys) {
    const value = offline[key]
    if (typeof value === 'string') found[key] = value
  }
  return found
}

type Values = ReturnType<typeof parseDocument<ParsedNode>>

function parseValues(text: string, name: string): Values {
  let document: Values
  try {
    document = parseDocument<ParsedNode>(text, { keepSourceTokens: true, logLevel: 'error' })
  } catch (error) {
    // the parser is recursive: a file of ten thousand brackets ends its stack
    throw invalid(name, 'the file cannot be read as YAML', error)
  }
  const [problem] = document.errors
  if (problem !== undefined) {
    const [position] = problem.linePos ?? []
    throw invalid(
      position === undefined ? name : `${name}:${position.line}:${position.col}`,
      problem.code === 'MULTIPLE_DOCS'
        ? 'the file has several YAML documents'
        : (problem.message.split('\n')[0] ?? 'not YAML').replace(/ at line.*/, ''),
      problem,
    )
  }
  return document
}

function plainMap(document: Values, name: string): Record<string, unknown> {
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: maxAliases })
  } catch (error) {
    throw invalid(name, 'aliases that multiply without end', error)
  }
  if (value === null || value === undefined) return {}
  if (typeof value !== 'object' || Array.isArray(value))
    throw invalid(name, 'the file is not a map of values')
  return value as Record<string, unknown>
}

function offlineOf(document: Values, name: string): Record<string, unknown> {
  const { offline } = plainMap(document, name)
  if (offline === undefined || offline === null) return {}
  if (typeof offline !== 'object' || Array.isArray(offline)) throw invalid(name, 'offline is not a map')
  return offline as Record<string, unknown>
}

function editsFor(
  document: Values,
  { text, values, name }: { text: string; values: OfflineValues; name: string },
): Edit[] {
  // first of all, so that a bomb is met before anything is looked at
  offlineOf(document, name)
  const source = new SourceText(text)
  const root = document.contents
  if (root === null || (isScalar(root) && root.value === null)) {
    if (root !== null && root.range[0] !== root.range[1]) throw notEditable(name)
    return [source.insertAtEnd(source.block('', values))]
  }
  if (!isMap(root)) throw invalid(name, 'the file is not a map of values')
  const pair = pairOf(root, 'offline')
  if (pair === undefined) {
    if (root.flow) return [insertIntoFlow(root, `offline: ${flowMap(values)}`)]
    return [source.insertAtEnd(source.block(indentOf(root, source), values))]
  }
  const offline = pair.value
  if (isMap(offline)) {
    const there = keys.filter(key => pairOf(offline, key) !== undefined)
    const missing = keys.filter(key => !there.includes(key))
    return [
      ...there.flatMap(key => editScalar(offline, { key, value: values[key], name })),
      ...(missing.length > 0 ? [addKeys(offline, { missing, values, source, name })] : []),
    ]
  }
  if (!isEmpty(offline)) {
    if (isScalar(offline) && offline.value === null) {
      return [{ start: offline.range[0], end: offline.range[1], text: flowMap(values) }]
    }
    throw invalid(name, 'offline is not a map of its own (an alias, or a plain value)')
  }
  const colon = colonOf(pair)
  if (colon === undefined || root.flow) throw notEditable(name)
  const indent = `${indentOf(root, source)}  `
  return [
    source.insertLine(colon, keys.map(key => `${indent}${key}: ${quoted(values[key])}`).join(source.eol)),
  ]
}

function addKeys(
  offline: ValuesMap,
  options: { missing: OfflineKey[]; values: OfflineValues; source: SourceText; name: string },
): Edit {
  const { missing, values, source, name } = options
  const lines = missing.map(key => `${key}: ${quoted(values[key])}`)
  if (offline.flow) return insertIntoFlow(offline, lines.join(', '))
  const last = offline.items.at(-1)
  const end = last === undefined ? undefined : (last.value?.range[1] ?? last.key.range[1])
  if (last === undefined || end === undefined) throw notEditable(name)
  const at = isEmpty(last.value) ? (colonOf(last) ?? end) : end
  const indent = indentOf(offline, source)
  return source.insertLine(at, lines.map(line => `${indent}${line}`).join(source.eol))
}

function editScalar(
  offline: ValuesMap,
  { key, value, name }: { key: OfflineKey; value: string; name: string },
): Edit[] {
  const pair = pairOf(offline, key)
  if (pair === undefined) return []
  const scalar = pair.value
  if (isEmpty(scalar)) {
    const colon = colonOf(pair)
    return colon === undefined
      ? [{ start: pair.key.range[1], end: pair.key.range[1], text: `: ${quoted(value)}` }]
      : [{ start: colon + 1, end: colon + 1, text: ` ${quoted(value)}` }]
  }
  if (scalar === null || isMap(scalar) || 'items' in scalar)
    throw invalid(name, `offline.${key} is not a plain value`)
  if (isScalar(scalar) && scalar.value === value) return []
  const style = isScalar(scalar) ? scalar.type : 'QUOTE_DOUBLE'
  if (style === 'BLOCK_LITERAL' || style === 'BLOCK_FOLDED') {
    throw invalid(name, `offline.${key} is a block of text; write it on one line`)
  }
  return [{ start: scalar.range[0], end: scalar.range[1], text: inStyle(value, style) }]
}

/** Last edits first, so that the offsets of the others stay right; no two are at one place. */
function apply(text: string, edits: Edit[]): string {
  let result = text
  for (const { start, end, text: replacement } of edits.toSorted((a, b) => b.start - a.start)) {
    result = result.slice(0, start) + replacement + result.slice(end)
  }
  return result
}

function pairOf(map: ValuesMap, key: string): Pair<ParsedNode, ParsedNode | null> | undefined {
  return map.items.find(pair => isScalar(pair.key) && pair.key.value === key)
}

/** `key:` and `key` alone: a null that has no text of its own. */
function isEmpty(node: ParsedNode | null | undefined): node is null | undefined {
  if (node === null || node === undefined) return true
  return isScalar(node) && node.value === null && node.range[0] === node.range[1]
}

function colonOf(pair: Pair<ParsedNode, ParsedNode | null>): number | undefined {
  const token = pair.srcToken?.sep?.find(part => part.type === 'map-value-ind')
  return token?.offset
}

function insertIntoFlow(map: ValuesMap, text: string): Edit {
  const last = map.items.at(-1)
  const at = last === undefined ? map.range[0] + 1 : (last.value?.range[1] ?? last.key.range[1])
  return { start: at, end: at, text: last === undefined ? text : `, ${text}` }
}

function indentOf(map: ValuesMap, source: SourceText): string {
  const start = map.items[0]?.key.range[0] ?? map.range[0]
  return source.text.slice(source.lineStart(start), start).replace(/\uFEFF/, '')
}

function flowMap(values: OfflineValues): string {
  return `{ ${keys.map(key => `${key}: ${quoted(values[key])}`).join(', ')} }`
}

/** YAML 1.2 §7.3: JSON text is a double-quoted scalar. */
function quoted(value: string): string {
  return JSON.stringify(value)
}

/** Plain scalars only where no YAML 1.1 or 1.2 reader can take them for anything but text. */
const plainPattern =
  /^[A-Za-z][A-Za-z0-9.-]*(?::\/\/[A-Za-z0-9.-]+)?:[0-9]+$|^https?:\/\/[A-Za-z0-9.-]+(?::[0-9]+)?$|^[0-9]+(?:\.[0-9]+){3}:[0-9]+$/

function inStyle(value: string, style: string | null | undefined): string {
  if (style === 'QUOTE_SINGLE') return `'${value.replaceAll("'", "''")}'`
  if (style === 'PLAIN' && plainPattern.test(value)) return value
  return quoted(value)
}

/** Places in a text, by lines. */
class SourceText {
  readonly text: string
  /** the line end this file uses */
  readonly eol: string

  constructor(text: string) {
    this.text = text
    this.eol = /\r?\n/.exec(text)?.[0] ?? '\n'
  }

  lineStart(at: number): number {
    return this.text.lastIndexOf('\n', at - 1) + 1
  }

  /** A new line after the one that `at` ends in; after a block of text, `at` is behind its line end already. */
  insertLine(at: number, line: string): Edit {
    if (at > 0 && this.text[at - 1] === '\n') return { start: at, end: at, text: `${line}${this.eol}` }
    const newline = this.text.indexOf('\n', at)
    if (newline >= 0) return { start: newline + 1, end: newline + 1, text: `${line}${this.eol}` }
    return { start: this.text.length, end: this.text.length, text: `${this.eol}${line}` }
  }

  insertAtEnd(block: string): Edit {
    const { text } = this
    const bare = text === '' || text === '\uFEFF' || text.endsWith('\n')
    return { start: text.length, end: text.length, text: `${bare ? '' : this.eol}${block}${this.eol}` }
  }

  block(indent: string, values: OfflineValues): string {
    return [`${indent}offline:`, ...keys.map(key => `${indent}  ${key}: ${quoted(values[key])}`)].join(
      this.eol,
    )
  }
}

function invalid(item: string, what: string, cause?: unknown): AirgapError {
  return new AirgapError('VALUES_INVALID', what, {
    item,
    next: 'correct the file and run the same command again; nothing was changed',
    cause,
  })
}

function notEditable(name: string): AirgapError {
  return new AirgapError(
    'VALUES_INVALID',
    'offline.registry and offline.httpServer cannot be set without touching other text',
    {
      item: name,
      likely: 'an unusual way to write YAML around these keys',
      next: 'write them as two plain lines under offline: and run the same command again',
    },
  )
}
