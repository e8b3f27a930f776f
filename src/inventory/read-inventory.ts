import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseDocument } from 'yaml'
import { AirgapError, fromSystemError } from '../core/errors.ts'

/** Hosts and groups as an inventory of ansible names them. Nothing in it is evaluated. */
export interface Inventory {
  /** host → its own variables */
  hosts: Map<string, Map<string, string>>
  /** group → hosts of its own and of its children */
  groups: Map<string, Set<string>>
}

const names = [
  'hosts.yaml',
  'hosts.yml',
  'inventory.yaml',
  'inventory.yml',
  'inventory.ini',
  'hosts.ini',
  'hosts',
]
const maxSize = 4 << 20 /* bytes */
const maxHosts = 5_000

/** `path` is the file of hosts, or its folder. Throws SITE_INVALID, FILE_NOT_FOUND. */
export async function readInventory(path: string): Promise<Inventory> {
  const file = await fileOf(path)
  const text = await textOf(file)
  if (/[\u0000-\u0008\u000e-\u001f]/.test(text))
    throw invalid(file, 'it has control characters: it is no text')
  const raw =
    /\.ya?ml$/.test(file) || /^\s*(?:---|all\s*:)/m.test(text) ? fromYaml(text, file) : fromIni(text, file)
  return resolved(raw, file)
}

interface RawInventory {
  hosts: Map<string, Map<string, string>>
  groups: Map<string, { hosts: Set<string>; children: Set<string> }>
}

function fromYaml(text: string, file: string): RawInventory {
  let root: unknown
  try {
    const document = parseDocument(text)
    const [problem] = document.errors
    if (problem !== undefined) throw problem
    root = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    const [position] = (error as { linePos?: { line: number; col: number }[] }).linePos ?? []
    const what = error instanceof Error ? error.message.split('\n')[0]! : 'not YAML'
    throw invalid(
      position === undefined ? file : `${file}:${position.line}:${position.col}`,
      what.replace(/ at line.*/, ''),
    )
  }
  const raw: RawInventory = { hosts: new Map(), groups: new Map() }
  const walk = (name: string, value: unknown, depth: number): void => {
    if (depth > 20) throw invalid(file, 'groups are nested without end')
    const group = groupOf(raw, name)
    const { hosts, children } = mapOf(value)
    for (const [host, variables] of Object.entries(mapOf(hosts))) {
      group.hosts.add(host)
      const own = raw.hosts.get(host) ?? new Map()
      for (const [key, one] of Object.entries(mapOf(variables)))
        if (['string', 'number', 'boolean'].includes(typeof one)) own.set(key, String(one))
      raw.hosts.set(host, own)
    }
    for (const [child, inner] of Object.entries(mapOf(children))) {
      group.children.add(child)
      walk(child, inner, depth + 1)
    }
  }
  const top = Object.entries(mapOf(root))
  if (top.length === 0) throw invalid(file, 'it names no groups')
  for (const [name, value] of top) walk(name, value, 0)
  return raw
}

/** https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html: sections, ranges, KEY=VALUE */
function fromIni(text: string, file: string): RawInventory {
  const raw: RawInventory = { hosts: new Map(), groups: new Map() }
  let section = { name: 'ungrouped', kind: 'hosts' }
  text.split(/\r?\n/).forEach((whole, i) => {
    const line = whole.replace(/(?:^|\s)[#;].*$/, '').trim()
    if (line === '') return
    const head = /^\[([A-Za-z0-9_.-]+)(?::(children|vars))?\]$/.exec(line)
    if (head !== null) {
      section = { name: head[1]!, kind: head[2] ?? 'hosts' }
      groupOf(raw, section.name)
      return
    }
    if (section.kind === 'vars') return
    if (section.kind === 'children') {
      groupOf(raw, section.name).children.add(line)
      return
    }
    const [pattern = '', ...pairs] = line.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? []
    if (pattern.startsWith('[') || /[={}]/.test(pattern))
      throw invalid(`${file}:${i + 1}`, `not a host: ${pattern.slice(0, 80)}`)
    for (const host of expanded(pattern, `${file}:${i + 1}`)) {
      groupOf(raw, section.name).hosts.add(host)
      const own = raw.hosts.get(host) ?? new Map()
      for (const pair of pairs) {
        const at = pair.indexOf('=')
        if (at > 0) own.set(pair.slice(0, at), pair.slice(at + 1).replace(/^(["'])(.*)\1$/, '$2'))
      }
      raw.hosts.set(host, own)
    }
  })
  return raw
}

/** `node[01:03]` → node01, node02, node03 */
function expanded(pattern: string, item: string): string[] {
  const [, head, from, to, tail] = /^([^[]*)\[(\d{1,5}):(\d{1,5})\](.*)$/.exec(pattern) ?? []
  if (from === undefined || to === undefined) return [pattern]
  const count = Number(to) - Number(from) + 1
  if (count < 1 || count > maxHosts) throw invalid(item, `a range of ${count} hosts: ${pattern.slice(0, 80)}`)
  return Array.from(
    { length: count },
    (_, i) => `${head}${String(Number(from) + i).padStart(from.length, '0')}${tail}`,
  )
}

function resolved({ hosts, groups }: RawInventory, file: string): Inventory {
  if (hosts.size === 0) throw invalid(file, 'it names no hosts')
  if (hosts.size > maxHosts) throw invalid(file, `it names more than ${maxHosts} hosts`)
  const all = new Map<string, Set<string>>()
  const membersOf = (name: string, above: readonly string[]): Set<string> => {
    const known = all.get(name)
    if (known !== undefined || above.includes(name)) return known ?? new Set()
    const { hosts: own = [], children = [] } = groups.get(name) ?? {}
    const found = new Set(own)
    for (const child of children) for (const host of membersOf(child, [...above, name])) found.add(host)
    all.set(name, found)
    return found
  }
  for (const name of groups.keys()) membersOf(name, [])
  return { hosts, groups: all }
}

function groupOf(raw: RawInventory, name: string): { hosts: Set<string>; children: Set<string> } {
  const group = raw.groups.get(name) ?? { hosts: new Set(), children: new Set() }
  raw.groups.set(name, group)
  return group
}

function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}

async function fileOf(path: string): Promise<string> {
  try {
    if (!(await stat(path)).isDirectory()) return path
    const there = await readdir(path)
    const name = names.find(one => there.includes(one))
    if (name !== undefined) return join(path, name)
  } catch (error) {
    throw fromSystemError(error, path)
  }
  throw new AirgapError('FILE_NOT_FOUND', 'the folder has no file of hosts', {
    item: path,
    likely: `looked for ${names.join(', ')}`,
    next: 'name the file itself with --from',
  })
}

async function textOf(path: string): Promise<string> {
  try {
    if ((await stat(path)).size > maxSize) throw invalid(path, `larger than ${maxSize >> 20} MiB`)
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path))
  } catch (error) {
    if (error instanceof TypeError) throw invalid(path, 'it is not UTF-8 text')
    throw fromSystemError(error, path)
  }
}

function invalid(item: string, what: string): AirgapError {
  return new AirgapError('SITE_INVALID', `the inventory cannot be read: ${what}`, {
    item,
    likely: 'another kind of file, or one that was edited and is none any more',
    next: 'correct it, or name the machines with `init --node`; nothing was written',
  })
}
