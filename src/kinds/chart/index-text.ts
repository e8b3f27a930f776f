import { readYamlTexts } from '../../document/yaml-texts.ts'

/** Parsing YAML needs about 100 times the text's size in memory. */
const maxWhole = 8 * 1024 * 1024 /* bytes */

/** Why an index cannot be read, in words. */
export class IndexFault extends Error {}

/**
 * The list under `entries.NAME` of an index.yaml, as written; undefined where there is none. JSON is read whole. Indexes of public
 * repositories reach tens of megabytes of YAML: the block of the one chart is cut out by its indentation, and only an index that
 * is not in block style is parsed completely. Throws IndexFault.
 */
export function entriesOf(text: string, name: string): unknown {
  const bare = text.replace(/^\uFEFF/, '')
  if (bare.trimStart().startsWith('{')) {
    const json = jsonOf(bare)
    if (json !== undefined) return child(child(json, 'entries'), name)
  }
  const blocks = blocksOf(bare, name)
  if (blocks === undefined) return child(child(whole(bare), 'entries'), name)
  // yaml.UnmarshalStrict of helm refuses it, too: readers differ in which of the two they take
  if (blocks.length > 1) throw new IndexFault(`it lists ${name} twice`)
  const [block] = blocks
  if (block === undefined) return undefined
  try {
    return child(readYamlTexts(block), name)
  } catch (error) {
    // its anchors may stand in another block
    if (bare.length <= maxWhole) return child(child(whole(bare), 'entries'), name)
    throw new IndexFault('its index.yaml is not YAML', { cause: error })
  }
}

function whole(text: string): unknown {
  if (text.length > maxWhole)
    throw new IndexFault(`it is larger than ${maxWhole} bytes and neither JSON nor in block style`)
  try {
    return readYamlTexts(text)
  } catch (error) {
    throw new IndexFault('its index.yaml is not YAML', { cause: error })
  }
}

/** undefined for YAML in flow style. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * The blocks of `NAME:` under `entries:`; undefined where a line at the depth of the names is neither a name, an item of its list
 * nor a comment, or where `entries:` has no block.
 */
function blocksOf(text: string, name: string): string[] | undefined {
  const entries = /^(?:entries|"entries"|'entries'):[ \t\r]*(?:#.*)?$/m.exec(text)
  if (!entries) return undefined
  const start = entries.index + entries[0].length
  const depth = /^( +)[^\s#]/m.exec(text.slice(start, start + maxPreamble))?.[1]?.length
  if (depth === undefined) return undefined
  const lines = new RegExp(String.raw`^( {0,${depth}})(?![ \t\n\r]|$)(.*)$`, 'gm')
  lines.lastIndex = start
  const blocks: string[] = []
  let named = false
  let begun: number | undefined
  let end = text.length
  for (let line = lines.exec(text); line !== null; line = lines.exec(text)) {
    const [, indent = '', rest = ''] = line
    if (rest.startsWith('#') || (indent.length === depth && /^-(?:\s|$)/.test(rest))) continue
    if (indent === '') {
      end = line.index
      break
    }
    const key = /^(["']?)([A-Za-z0-9._/@+-]+)\1:(?=\s|$)/.exec(rest)?.[2]
    if (indent.length !== depth || key === undefined) return undefined
    named = true
    if (begun !== undefined) blocks.push(text.slice(begun, line.index))
    begun = key === name ? line.index : undefined
  }
  if (begun !== undefined) blocks.push(text.slice(begun, end))
  return named ? blocks : undefined
}

/** Comments and blank lines between `entries:` and the first name. */
const maxPreamble = 64 * 1024 /* bytes */

function child(value: unknown, key: string): unknown {
  return value !== null && typeof value === 'object' && Object.hasOwn(value, key)
    ? Reflect.get(value, key)
    : undefined
}
