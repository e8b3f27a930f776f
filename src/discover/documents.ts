import { AirgapError } from '../core/errors.ts'
import { readYaml } from '../document/parse-yaml.ts'
import { indentQuotedLines } from './quoted-lines.ts'

/** An object of a rendered release. */
export interface RenderedObject {
  kind: string
  name: string
  value: Record<string, unknown>
  /** of a CustomResourceDefinition: its text, which is parsed only where it is needed; `value` is empty */
  definition?: string
}

/**
 * Returns the objects in the output of `helm template`. CustomResourceDefinitions are not parsed: they are
 * megabytes of schemas, in which `image` is the name of a property. The items of a `List` are returned one by one.
 */
export function renderedObjects(text: string, item: string): RenderedObject[] {
  return splitDocuments(text).flatMap(document => {
    if (/^kind: *["']?CustomResourceDefinition["']? *$/m.test(document.text))
      return [{ kind: 'CustomResourceDefinition', name: '', value: {}, definition: document.text }]
    return objectsOf(parse(document, item))
  })
}

interface TextDocument {
  text: string
  /** of the first line, from 1 */
  line: number
}

/** YAML 1.2, 9.1.4: `---` at the start of a line begins a document. */
function splitDocuments(text: string): TextDocument[] {
  const documents: TextDocument[] = []
  let line = 1
  for (const part of text.split(/^---(?=[ \t\r\n]|$)/m)) {
    if (part.trim() !== '') documents.push({ text: part, line })
    line += part.split('\n').length - 1
  }
  return documents
}

/** Returns the content of a definition; undefined if it is not valid YAML. */
export function parseDefinition(text: string): unknown {
  try {
    return parse({ text, line: 1 }, 'CustomResourceDefinition')
  } catch {
    return undefined
  }
}

/** Each takes another reading of the document. */
const maxMended = 20

function parse({ text, line }: TextDocument, item: string): unknown {
  const fail = (what: string, at: number) =>
    new AirgapError('RENDER_FAILED', `the chart renders invalid YAML: ${what}`, {
      item: `${item}, line ${at}`,
      likely: 'a template indents wrongly with these values',
      next: 'render it with `helm template` and correct the template or the values at that line',
    })
  // helm and kubectl accept duplicate keys and use the last one
  const read = (document: string) => readYaml(document, { tags: 'ignore', duplicates: 'last' })
  const first = read(text)
  let { value, faults } = first
  for (let mended: string | undefined = text, i = 0; faults.length > 0 && i < maxMended; i++) {
    mended = indentQuotedLines(mended, faults[0]!.offset)
    if (mended === undefined) break
    ;({ value, faults } = read(mended))
  }
  const [fault] = first.faults
  if (faults.length > 0 && fault !== undefined)
    throw fail(fault.what, line + first.position(fault.offset).line - 1)
  return value
}

function objectsOf(value: unknown): RenderedObject[] {
  if (!isRecord(value)) return []
  const kind = typeof value['kind'] === 'string' ? value['kind'] : ''
  if (/List$/.test(kind) && Array.isArray(value['items'])) return value['items'].flatMap(objectsOf)
  const { metadata } = value
  const name = isRecord(metadata) && typeof metadata['name'] === 'string' ? metadata['name'] : ''
  return [{ kind, name, value }]
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
