import {
  type Document,
  isCollection,
  isNode,
  isScalar,
  LineCounter,
  type ParsedNode,
  parseDocument,
  visit,
} from 'yaml'
import { defined } from '../core/defined.ts'
import { type YamlFault, yamlFaults } from './yaml-faults.ts'
import { isUnclosed, yamlWords } from './yaml-words.ts'

export interface YamlOptions {
  /** resolves merge keys `<<` */
  merge?: boolean
  /** integers as bigint, so that large ones stay exact */
  intAsBigInt?: boolean
  /** keeps the tokens that a node was made of: the offset of a colon is in no node */
  keepSourceTokens?: boolean
  /** what to do with `!tag`; default: refuse */
  tags?: 'refuse' | 'ignore'
}

export interface ParsedYaml {
  document: Document.Parsed<ParsedNode>
  /** in the order of the text */
  faults: YamlFault[]
  /** line and column of an offset, from 1 */
  position(offset: number): { line: number; column: number }
}

/**
 * Parses one document of YAML 1.2 and never throws. The words of a fault quote nothing of the text, which may be a secret. Keys and aliases
 * are unchecked: see `yamlFaults`.
 */
export function parseYaml(text: string, { tags = 'refuse', ...options }: YamlOptions = {}): ParsedYaml {
  const lines = new LineCounter()
  const position = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  const parse = (source: string) =>
    parseDocument<ParsedNode>(source, {
      ...defined(options),
      lineCounter: lines,
      version: '1.2',
      schema: 'core',
      strict: true,
      uniqueKeys: false,
      resolveKnownTags: false,
      // warnings are returned, not printed
      logLevel: 'error',
    })
  // section 5.1; the parser accepts the zeros that a power cut leaves at the end of a file
  const control = text.search(/[\0-\x08\x0b\x0c\x0e-\x1f]/)
  try {
    const document = parse(text)
    const problems = tags === 'refuse' ? [...document.errors, ...document.warnings] : document.errors
    const faults = problems.map(({ pos, code, message }, i) => ({
      offset: i < maxOpenings && isUnclosed(message) ? openingBefore(document, pos[0]) : pos[0],
      what: yamlWords(code, message),
    }))
    if (control >= 0) faults.push({ offset: control, what: 'control characters (the file may be damaged)' })
    return { document, faults: faults.sort((a, b) => a.offset - b.offset), position }
  } catch {
    // the parser is recursive: ten thousand brackets exhaust its stack
    return {
      document: parse(''),
      faults: [{ offset: 0, what: nestedTooDeeply }],
      position: () => ({ line: 1, column: 1 }),
    }
  }
}

/** Like `parseYaml`, with keys and aliases checked and the value converted; undefined where there are faults. */
export function readYaml(text: string, options: YamlOptions = {}): ParsedYaml & { value: unknown } {
  const parsed = parseYaml(text, options)
  const faults = parsed.faults.length > 0 ? parsed.faults : yamlFaults(parsed.document)
  if (faults.length > 0) return { ...parsed, faults, value: undefined }
  try {
    return { ...parsed, faults, value: parsed.document.toJS({ maxAliasCount: 100 }) }
  } catch (error) {
    const what = error instanceof RangeError ? nestedTooDeeply : 'aliases that multiply without end'
    return { ...parsed, faults: [{ offset: 0, what }], value: undefined }
  }
}

/** Each search goes through the whole document, and a hostile one has thousands of open brackets. */
const maxOpenings = 3

const nestedTooDeeply = 'nested too deeply'

/** Start of the innermost bracket or quoted text that is still open at an offset; the offset itself if none is. */
function openingBefore(document: Document.Parsed, offset: number): number {
  let found = offset
  visit(document, (_, node) => {
    if (!isNode(node) || !node.range) return
    const [start, end] = node.range
    if (start > offset || end < offset) return
    const opens = isCollection(node) ? node.flow : isScalar(node) && /^QUOTE/.test(node.type ?? '')
    if (opens) found = start
  })
  return found
}
