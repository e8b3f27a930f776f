import { readYamlStream } from '../../document/parse-yaml.ts'
import { isRecord } from '../documents.ts'

/** Larger texts are scanned, not parsed. */
const maxText = 2 << 20 /* characters */

/**
 * Returns the maps and lists of a YAML or JSON text: values of another chart, settings of a controller, the manifest of a pod.
 * Returns none for other text, such as a script, prose or a Go template. Comments are not part of the result.
 */
export function nestedDocuments(text: string): (Record<string, unknown> | unknown[])[] {
  if (text.length > maxText || text.startsWith('#!')) return []
  // a single line is a document only without prose
  const content = text.trim()
  if (!/^[[{]|\n|^[A-Za-z0-9_.-]+: \S+$/.test(content)) return []
  const documents = /^[[{]/.test(content) ? (parseJson(text) ?? parseYaml(text)) : parseYaml(text)
  return documents.filter(document => isRecord(document) || Array.isArray(document))
}

function parseJson(text: string): [Record<string, unknown>] | undefined {
  try {
    return [JSON.parse(text)]
  } catch {
    return undefined
  }
}

function parseYaml(text: string): (Record<string, unknown> | unknown[])[] {
  // `key: value` or a list, at least once at the start of a line
  if (!/^[ \t]*(?:- ?)?["']?[A-Za-z0-9_./-]+["']?:(?:[ \t\r\n]|$)|^- |^[[{]/m.test(text)) return []
  const { values } = readYamlStream(text, { tags: 'ignore', duplicates: 'last' })
  return values.filter(value => isRecord(value) || Array.isArray(value))
}

const jsonInQuotes = /(?<!\\)"(\{\\"(?:\\.|[^"\\])*\})"|'(\{"[^']*\})'/g

/** Returns the JSON objects in the string literals of a program or a script: `json.loads("{\"image\": …}")`. */
export function embeddedDocuments(text: string): Record<string, unknown>[] {
  if (text.length > maxText || !/["']\{\\?"/.test(text) || /^\s*[[{]/.test(text)) return []
  return [...text.matchAll(jsonInQuotes)].flatMap(([, escaped, plain]) => {
    try {
      const document: unknown = JSON.parse(plain ?? JSON.parse(`"${escaped}"`))
      return isRecord(document) ? [document] : []
    } catch {
      return []
    }
  })
}
