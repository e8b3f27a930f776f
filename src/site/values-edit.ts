import { isMap, parse, parseDocument, stringify } from 'yaml'
import { mergeValues } from './merge-values.ts'
import { type OfflineValues, readOfflineValues, setOfflineValues } from './values.ts'

/** Nested values to be set; lists are set whole. */
export interface ValueTree {
  [key: string]: unknown
}

/** What an edit sets, as it is remembered. */
export interface EditData {
  offline?: OfflineValues | undefined
  /** YAML; empty where nothing else is set */
  values: string
}

/** A change of a values file; everything else in it stays byte for byte. */
export interface ValuesEdit {
  readonly data: EditData
  /** Throws VALUES_INVALID. */
  apply(text: string, name: string): string
  /** The same keys with the values that `text` has: what was once written there. */
  as(text: string, name: string): ValuesEdit
}

/** `offline.registry`, `offline.httpServer`, and what else the site says. */
export function environmentEdit(offline: OfflineValues, more: ValueTree = {}): ValuesEdit {
  return editOf({ offline, values: yamlOf(more) })
}

export function treeEdit(values: ValueTree): ValuesEdit {
  return editOf({ values: yamlOf(values) })
}

/** The edit that was remembered. */
export function editOf(data: EditData): ValuesEdit {
  const { offline, values } = data
  return {
    data,
    apply(text, name) {
      const set = offline === undefined ? text : setOfflineValues(text, offline, name)
      return values === '' ? set : mergeValues({ base: '', ours: values, theirs: set, name }).text
    },
    as: (text, name) =>
      editOf({
        ...(offline && { offline: { registry: '', httpServer: '', ...readOfflineValues(text, name) } }),
        values: yamlOf(pick(parse(values, { version: '1.1' }) ?? {}, valuesIn(text)) as ValueTree),
      }),
  }
}

function yamlOf(values: ValueTree): string {
  return Object.keys(values).length === 0 ? '' : stringify(values, { lineWidth: 0, version: '1.1' })
}

function valuesIn(text: string): unknown {
  const document = parseDocument(text)
  const readable = document.errors.length === 0 && isMap(document.contents)
  return readable ? document.toJS({ maxAliasCount: 100 }) : {}
}

/** `shape` with the values of `there`, as far as it has them. */
function pick(shape: unknown, there: unknown): unknown {
  if (!isTree(shape) || !isTree(there)) return there
  return Object.fromEntries(
    Object.entries(shape).flatMap(([key, inner]) => (key in there ? [[key, pick(inner, there[key])]] : [])),
  )
}

function isTree(value: unknown): value is ValueTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `{ 'nfs.server': 'x' }` → `{ nfs: { server: 'x' } }` */
export function nested(flat: Readonly<Record<string, unknown>>): ValueTree {
  const tree: ValueTree = {}
  for (const [path, value] of Object.entries(flat)) {
    const keys = path.split('.')
    const last = keys.pop() as string
    let at = tree
    for (const key of keys) {
      if (!isTree(at[key])) at[key] = {}
      at = at[key] as ValueTree
    }
    at[last] = value
  }
  return tree
}
