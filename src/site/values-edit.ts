import { isMap, parseDocument, stringify } from 'yaml'
import { mergeValues } from './merge-values.ts'
import { type OfflineValues, readOfflineValues, setOfflineValues } from './values.ts'

/** Nested values to be set; lists are set whole. */
export interface ValueTree {
  [key: string]: unknown
}

/** A change of a values file; everything else in it stays byte for byte. */
export interface ValuesEdit {
  /** Throws VALUES_INVALID. */
  apply(text: string, name: string): string
  /** The same keys with the values that `text` has: what was once written there. */
  as(text: string, name: string): ValuesEdit
}

/** `offline.registry`, `offline.httpServer`, and what else the site says. */
export function environmentEdit(offline: OfflineValues, more: ValueTree = {}): ValuesEdit {
  const rest = treeEdit(more)
  return {
    apply: (text, name) => rest.apply(setOfflineValues(text, offline, name), name),
    as: (text, name) => {
      const found = { registry: '', httpServer: '', ...readOfflineValues(text, name) }
      const picked = rest.as(text, name)
      return { ...environmentEdit(found), apply: (t, n) => picked.apply(setOfflineValues(t, found, n), n) }
    },
  }
}

export function treeEdit(values: ValueTree): ValuesEdit {
  return {
    apply(text, name) {
      if (Object.keys(values).length === 0) return text
      return mergeValues({
        base: '',
        ours: stringify(values, { lineWidth: 0, version: '1.1' }),
        theirs: text,
        name,
      }).text
    },
    as: text => {
      const document = parseDocument(text)
      const there =
        document.errors.length === 0 && isMap(document.contents) ? document.toJS({ maxAliasCount: 100 }) : {}
      return treeEdit(pick(values, there) as ValueTree)
    },
  }
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
