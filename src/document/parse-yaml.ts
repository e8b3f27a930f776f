import {
  type Document,
  isCollection,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  type ParsedNode,
  parseAllDocuments,
  parseDocument,
  type ScalarTag,
  type Tags,
} from 'yaml'
import { defined } from '../core/defined.ts'
import { multiplyingAliases, nestedTooDeeply, type YamlFault, yamlFaults } from './yaml-faults.ts'
import { isUnclosed, yamlWords } from './yaml-words.ts'

/**
 * The one door to the YAML parser: every YAML text in the program, trusted or not, is parsed here, so that none escapes the bounds (fault 110).
 */

export interface YamlOptions {
  /** resolves merge keys `<<` */
  merge?: boolean
  /** integers as bigint, so that large ones stay exact */
  intAsBigInt?: boolean
  /** keeps the tokens that a node was made of: the offset of a colon is in no node */
  keepSourceTokens?: boolean
  /** what to do with `!tag`; default: refuse */
  tags?: 'refuse' | 'ignore'
  /** `text`: every scalar as written, `1.10` as `1.10`; `text or null`: null where YAML 1.1 and 1.2 read null */
  scalars?: 'typed' | 'text' | 'text or null'
  /** default: 1.2 */
  version?: '1.1' | '1.2'
}

export interface ReadOptions extends YamlOptions {
  /** default: refuse */
  duplicates?: 'refuse' | 'last'
}

/** Larger than any document that people or charts write. */
const maxLength = 64 << 20 /* characters */
/** How often aliases may multiply what they refer to. */
const maxAliasCount = 1_000

export interface ParsedYaml {
  document: Document.Parsed<ParsedNode>
  /** in the order of the text */
  faults: YamlFault[]
  /** line and column of an offset, from 1 */
  position(offset: number): { line: number; column: number }
}

/**
 * Parses one document and never throws. The words of a fault quote nothing of the text, which may be a secret. Keys, aliases and depth are
 * unchecked: see `yamlFaults`.
 */
export function parseYaml(text: string, options: YamlOptions = {}): ParsedYaml {
  const lines = new LineCounter()
  const position = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  const refused = (what: string): ParsedYaml => ({
    document: parseDocument('', parserOptions(options)),
    faults: [{ offset: 0, what }],
    position: () => ({ line: 1, column: 1 }),
  })
  if (text.length > maxLength) return refused(tooLarge)
  try {
    const document = parseDocument<ParsedNode>(text, { ...parserOptions(options), lineCounter: lines })
    const faults = [...faultsOf(document, options), ...controlCharacters(text)]
    return { document, faults: faults.sort((a, b) => a.offset - b.offset), position }
  } catch {
    // the parser is recursive: ten thousand brackets exhaust its stack
    return refused(nestedTooDeeply)
  }
}

/** Like `parseYaml`, with keys, aliases and depth checked and the value converted; undefined where there are faults. */
export function readYaml(text: string, options: ReadOptions = {}): ParsedYaml & { value: unknown } {
  const parsed = parseYaml(text, options)
  if (parsed.faults.length > 0) return { ...parsed, value: undefined }
  return { ...parsed, ...converted(parsed.document, options) }
}

/** Reads all documents of a text; `values` is empty where there are faults. Never throws. */
export function readYamlStream(
  text: string,
  options: ReadOptions = {},
): { values: unknown[]; faults: YamlFault[] } {
  const refused = (...faults: YamlFault[]) => ({ values: [], faults })
  if (text.length > maxLength) return refused({ offset: 0, what: tooLarge })
  const control = controlCharacters(text)
  if (control.length > 0) return refused(...control)
  try {
    const documents = parseAllDocuments<ParsedNode>(text, parserOptions(options))
    const values: unknown[] = []
    // of a text without documents, it is an empty list with properties of its own
    for (const document of documents) {
      const broken = faultsOf(document, options)
      const { value, faults } =
        broken.length > 0 ? { value: undefined, faults: broken } : converted(document, options)
      if (faults.length > 0) return refused(...faults)
      values.push(value)
    }
    return { values, faults: [] }
  } catch {
    return refused({ offset: 0, what: nestedTooDeeply })
  }
}

function parserOptions({ scalars = 'typed', version = '1.2', ...options }: YamlOptions) {
  const { merge, intAsBigInt, keepSourceTokens } = options
  const typed = version === '1.1' ? ('yaml-1.1' as const) : ('core' as const)
  return {
    ...defined({ merge, intAsBigInt, keepSourceTokens }),
    version,
    schema: scalars === 'typed' ? typed : ('failsafe' as const),
    customTags: (tags: Tags) => (scalars === 'text or null' ? [...tags, nothing] : tags),
    strict: true,
    // yamlFaults finds these in less time
    uniqueKeys: false,
    resolveKnownTags: false,
    // messages with an excerpt of the text: each costs a search through its line, and a hostile line has as many errors as characters
    prettyErrors: false,
    // warnings are returned, not printed
    logLevel: 'error' as const,
  }
}

/** Plain scalars that YAML 1.1 and 1.2 read as null; quoted, they are text. */
const nothing: ScalarTag = {
  tag: 'tag:yaml.org,2002:null',
  default: true,
  test: /^(?:~|[Nn]ull|NULL)?$/,
  resolve: () => null,
  identify: value => value === null,
}

function faultsOf(document: Document.Parsed, { tags = 'refuse' }: YamlOptions): YamlFault[] {
  const problems = tags === 'refuse' ? [...document.errors, ...document.warnings] : document.errors
  return problems.map(({ pos, code, message }, i) => ({
    offset: i < maxOpenings && isUnclosed(message) ? openingBefore(document, pos[0]) : pos[0],
    what: yamlWords(code, message),
  }))
}

/** Section 5.1; the parser accepts the zeros that a power cut leaves at the end of a file. */
function controlCharacters(text: string): YamlFault[] {
  const offset = text.search(/[\0-\x08\x0b\x0c\x0e-\x1f]/)
  return offset < 0 ? [] : [{ offset, what: 'control characters (the file may be damaged)' }]
}

function converted(
  document: Document.Parsed,
  { duplicates = 'refuse' }: ReadOptions,
): { value: unknown; faults: YamlFault[] } {
  const refused = (what: string) => ({ value: undefined, faults: [{ offset: 0, what }] })
  try {
    const faults = yamlFaults(document, { duplicates })
    if (faults.length > 0) return { value: undefined, faults }
    return { value: document.toJS({ maxAliasCount }), faults }
  } catch (error) {
    return refused(error instanceof RangeError ? nestedTooDeeply : multiplyingAliases)
  }
}

/** Each search goes through the whole document, and a hostile one has thousands of open brackets. */
const maxOpenings = 3

const tooLarge = `larger than ${maxLength >> 20} MiB`

/** Start of the innermost bracket or quoted text that is still open at an offset; the offset itself if none is. */
function openingBefore(document: Document.Parsed, offset: number): number {
  let found = offset
  const waiting: unknown[] = [document.contents]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (isPair(node)) {
      waiting.push(node.value ?? null, node.key)
      continue
    }
    if (!isNode(node) || !node.range) continue
    const [start, end] = node.range
    if (start > offset || end < offset) continue
    const opens = isCollection(node) ? node.flow : isScalar(node) && /^QUOTE/.test(node.type ?? '')
    if (opens) found = start
    if (isCollection(node)) for (const item of node.items.toReversed()) waiting.push(item)
  }
  return found
}
