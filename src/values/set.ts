import { isMap, isScalar, stringify } from 'yaml'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { readYaml } from '../document/parse-yaml.ts'
import { mergeValues } from './merge.ts'
import { planMerge } from './plan-merge.ts'
import { isEmpty } from './positions.ts'
import { pathText, quoted, shownValue } from './print.ts'
import { maskValues, secretValues } from './secret-values.ts'
import {
  type Plain,
  type PlainMap,
  pairsOf,
  readValuesTree,
  type ValuesMap,
  type ValuesNode,
  type ValuesTree,
  valueWith,
} from './tree.ts'
import { writeChanges } from './write-changes.ts'

/** Nested values; lists are set whole. */
export interface ValueTree {
  [key: string]: unknown
}

/** The site's addresses, as `environments/ENV/values.yaml` has them below `offline`. */
export interface OfflineValues {
  /** host:port of the site's registry, without scheme */
  registry: string
  /** URL of the site's HTTP server, without a slash at the end */
  httpServer: string
}

/** What is set in a values file, in the form that is recorded. */
export interface Settings {
  offline?: OfflineValues | undefined
  /** YAML; empty where nothing else is set */
  values: string
}

export function settingsOf(values: ValueTree, offline?: OfflineValues): Settings {
  return defined({ offline, values: yamlOf(values) })
}

/** The settings with more values, which win. */
export function addSettings({ offline, values }: Settings, more: ValueTree): Settings {
  const known: unknown = readYaml(values, { version: '1.1' }).value ?? {}
  return settingsOf(mergedTree(isTree(known) ? known : {}, more), offline)
}

/** Both trees as one: `over` wins, lists are taken whole. */
export function mergedTree(base: ValueTree, over: ValueTree): ValueTree {
  const result: ValueTree = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const below = result[key]
    result[key] = isTree(below) && isTree(value) ? mergedTree(below, value) : value
  }
  return result
}

function yamlOf(values: ValueTree): string {
  return Object.keys(values).length === 0 ? '' : stringify(values, { lineWidth: 0, version: '1.1' })
}

/** The settings for people, one line per value: `nfs.server = "10.0.0.5"`; secrets as `***`. */
export function settingLines({ offline, values }: Settings): string[] {
  const { value } = readValuesTree(values, { name: 'settings', whose })
  const leaves = (inner: Plain, path: readonly string[]): string[] =>
    inner instanceof Map && inner.size > 0
      ? [...inner].flatMap(([key, below]) => leaves(below, [...path, key]))
      : [`${pathText(path)} = ${shownValue(inner, path)}`]
  const all: PlainMap[] = [new Map(offline && [['offline', new Map(Object.entries(offline))]]), value]
  const lines = all.flatMap(map => (map.size === 0 ? [] : leaves(map, [])))
  const secrets = secretValues(values)
  return lines.map(line => maskValues(line, secrets))
}

/**
 * Returns the text with the settings in it; everything else stays byte for byte: comments, order, quoting, line ends, indentation.
 * Throws VALUES_INVALID with line and column, or with the key that cannot be set without changing another value.
 */
export function setValues(text: string, { offline, values }: Settings, name: string): string {
  const set = offline === undefined ? text : setOffline(text, offline, name)
  return values === '' ? set : mergeValues({ base: '', ours: values, theirs: set, name }).text
}

/** The same settings with the values that the text has: what was once set there. Throws VALUES_INVALID. */
export function currentSettings(text: string, { offline, values }: Settings, name: string): Settings {
  // refuses what is invalid or would take long to convert
  readValuesTree(text, { name, whose })
  const found: unknown = readYaml(text).value ?? {}
  const addresses = isTree(found) && isTree(found.offline) ? found.offline : {}
  const address = (key: keyof OfflineValues) => (typeof addresses[key] === 'string' ? addresses[key] : '')
  const current = pick(readYaml(values, { version: '1.1' }).value ?? {}, found)
  return settingsOf(
    isTree(current) ? current : {},
    offline && { registry: address('registry'), httpServer: address('httpServer') },
  )
}

/** `shape` with the values of `found`, as far as it has them. */
function pick(shape: unknown, found: unknown): unknown {
  if (!isTree(shape) || !isTree(found)) return found
  return Object.fromEntries(
    Object.entries(shape).flatMap(([key, inner]) =>
      Object.hasOwn(found, key) ? [[key, pick(inner, found[key])]] : [],
    ),
  )
}

/** `{ 'nfs.server': 'x' }` → `{ nfs: { server: 'x' } }` */
export function nested(flat: Readonly<Record<string, unknown>>): ValueTree {
  // keys come from a bundle: `__proto__` is one like any other
  const tree: ValueTree = Object.create(null)
  for (const [path, value] of Object.entries(flat)) {
    const keys = path.split('.')
    const last = keys.pop() as string
    let at = tree
    for (const key of keys) {
      const inner = at[key]
      const next: ValueTree = isTree(inner) ? inner : Object.create(null)
      at[key] = next
      at = next
    }
    at[last] = value
  }
  return tree
}

export function isTree(value: unknown): value is ValueTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const whose = 'the values file'

/**
 * Merges the addresses in, written as the file writes them: in its quotes, inside its braces. Other than in a merge, aliases of an
 * address that has an anchor follow it.
 */
function setOffline(text: string, offline: OfflineValues, name: string): string {
  const theirs = readValuesTree(text, { name, whose })
  const found = offlineOf(theirs, name)
  const ours = readValuesTree(offlineText(offline, { found, root: theirs.root }), { name, whose })
  const base = readValuesTree('', { name, whose })
  const { changes } = planMerge({ base: base.value, ours: ours.value, theirs: theirs.value })
  const replaced = new Map<ValuesNode, Plain>()
  for (const [key, node] of found.addresses) if (node !== undefined) replaced.set(node, offline[key])
  const followed = valueWith(theirs, replaced)
  const { merged } = planMerge({ base: base.value, ours: ours.value, theirs: followed })
  return writeChanges({ base, ours, theirs }, { changes, expected: merged, name })
}

interface FoundOffline {
  /** the value of `offline`; undefined where it is missing or empty */
  node: ValuesNode | undefined
  addresses: Map<keyof OfflineValues, ValuesNode | undefined>
}

/** Throws VALUES_INVALID where there is something else than addresses. */
function offlineOf({ root }: ValuesTree, name: string): FoundOffline {
  const node = pairsOf(root).get('offline')?.value
  if (isEmpty(node)) return { node: undefined, addresses: new Map() }
  if (isScalar(node) && node.value === null) return { node, addresses: new Map() }
  if (!isMap(node)) throw invalid(name, 'offline is not a map of its own (but an alias, a list or a text)')
  const pairs = pairsOf(node as ValuesMap)
  const addresses = new Map<keyof OfflineValues, ValuesNode | undefined>()
  for (const key of ['registry', 'httpServer'] as const) {
    const address = pairs.get(key)?.value ?? undefined
    if (address !== undefined && 'items' in address) throw invalid(name, `offline.${key} is not text`)
    if (isScalar(address) && (address.type === 'BLOCK_LITERAL' || address.type === 'BLOCK_FOLDED'))
      throw invalid(name, `offline.${key} is a block of text; write it on one line`)
    addresses.set(key, address)
  }
  return { node, addresses }
}

function offlineText(
  offline: OfflineValues,
  { found: { node, addresses }, root }: { found: FoundOffline; root: ValuesMap | undefined },
): string {
  const lines = (['registry', 'httpServer'] as const).map(
    key => `${key}: ${inStyleOf(addresses.get(key), offline[key])}`,
  )
  if (isMap(node) && node.flow) return `offline: {${lines.join(', ')}}\n`
  if (isScalar(node) || root?.flow) return `offline: { ${lines.join(', ')} }\n`
  return `offline:\n  ${lines.join('\n  ')}\n`
}

/** Unquoted only where no reader of YAML 1.1 or 1.2 can take it for anything but text. */
const plainPattern =
  /^[A-Za-z][A-Za-z0-9.-]*(?::\/\/[A-Za-z0-9.-]+)?:[0-9]+$|^https?:\/\/[A-Za-z0-9.-]+(?::[0-9]+)?$|^[0-9]+(?:\.[0-9]+){3}:[0-9]+$/

function inStyleOf(node: ValuesNode | undefined, value: string): string {
  const style = isScalar(node) && !isEmpty(node) ? node.type : 'QUOTE_DOUBLE'
  if (style === 'QUOTE_SINGLE') return `'${value.replaceAll("'", "''")}'`
  return style === 'PLAIN' && plainPattern.test(value) ? value : quoted(value)
}

function invalid(item: string, what: string): AirgapError {
  return new AirgapError('VALUES_INVALID', what, {
    item,
    next: 'write registry and httpServer as two plain lines under offline: and run the same command again; nothing was changed',
  })
}
