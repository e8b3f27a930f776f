import { type Document, LineCounter, type ParsedNode, parseDocument } from 'yaml'
import { defined } from '../core/defined.ts'
import { type YamlFault, yamlFaults } from './yaml-faults.ts'

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
  /** in the parser's words, in the order of the text */
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
    const faults = problems.map(({ pos, code, message }) => ({
      offset: pos[0],
      what: wordsOf(code, message),
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

const nestedTooDeeply = 'nested too deeply'

const words: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'several YAML documents in one file',
  RESOURCE_EXHAUSTION: nestedTooDeeply,
}

/** The first line of the message, without its place and without what follows a colon or a backslash: that is text of the file. */
function wordsOf(code: string, message: string): string {
  if (message.startsWith('Maximum call stack')) return nestedTooDeeply
  return words[code] ?? message.split(/\n|(?<=\w): | at line \d|\\/)[0] ?? 'not valid YAML'
}
