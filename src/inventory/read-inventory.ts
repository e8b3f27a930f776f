import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { fromIni } from './inventory-ini.ts'
import { convertedNames, loginPasswords, sudoPasswords } from './inventory-names.ts'
import { fromYaml } from './inventory-yaml.ts'
import type { Host, RawInventory } from './raw-inventory.ts'
import { invalid, textOf } from './read-source.ts'
import { variableFiles } from './variable-files.ts'

export interface Inventory {
  file: string
  hosts: Map<string, Host>
  /** group → its own hosts and those of its children */
  members: Map<string, Set<string>>
  /** variables of groups and of files, those with the lowest precedence first */
  sources: { label: string; group?: string; host?: string; variables: Map<string, unknown> }[]
  notes: string[]
}

const fileNames = [
  'hosts.yaml',
  'hosts.yml',
  'inventory.yaml',
  'inventory.yml',
  'inventory.ini',
  'hosts.ini',
  'hosts',
]

/** Reads an inventory and the variables beside it; `path` is the hosts file or its folder. Throws SITE_INVALID, FILE_NOT_FOUND. */
export async function readInventory(path: string): Promise<Inventory> {
  const { file, others } = await fileOf(path)
  const text = await textOf(file)
  const isYaml =
    /\.(?:ya?ml|json)$/.test(file) || (!/\.ini$/.test(file) && /^[ \t]*(?:---|all[ \t]*:|\{)/m.test(text))
  const raw = isYaml ? fromYaml(text, file) : fromIni(text, file)
  if (raw.hosts.size === 0) throw invalid(file, 'it has no hosts')
  const members = membersOf(raw, file)
  const depth = depthsOf(raw)
  const inFile = [...raw.groups]
    .filter(([, { variables }]) => variables.size > 0)
    .sort(([a], [b]) => depth(a) - depth(b) || (a < b ? -1 : 1))
    .map(([group, { variables }]) => ({ label: `group ${group} in ${basename(file)}`, group, variables }))
  const notes = others.map(other => `not read: ${other} beside ${basename(file)}`)
  const beside = await Promise.all(
    (['group', 'host'] as const).map(async kind =>
      (await variableFiles(join(dirname(file), `${kind}_vars`), notes)).map(one => ({
        label: relative(dirname(file), one.path),
        [kind]: one.name,
        variables: one.variables,
      })),
    ),
  )
  const [ofGroups = [], ofHosts = []] = beside
  ofGroups.sort((a, b) => depth(String(a['group'])) - depth(String(b['group'])))
  return { file, hosts: raw.hosts, members, sources: [...inFile, ...ofGroups, ...ofHosts], notes }
}

/** Merges variables in ansible's order of precedence: groups (parents first), the host's own, its host_vars. */
export function variablesOf(host: Host, { sources, members }: Inventory): Map<string, unknown> {
  const merged = new Map<string, unknown>()
  const add = (variables: ReadonlyMap<string, unknown>) => {
    for (const name of [...convertedNames, ...loginPasswords, ...sudoPasswords])
      if (variables.has(name)) merged.set(name, variables.get(name))
  }
  for (const { group, variables } of sources)
    if (group !== undefined && (group === 'all' || members.get(group)?.has(host.name))) add(variables)
  add(host.variables)
  for (const source of sources) if (source.host === host.name) add(source.variables)
  return merged
}

function membersOf({ groups }: RawInventory, file: string): Map<string, Set<string>> {
  const all = new Map<string, Set<string>>()
  const of = (name: string, above: readonly string[]): Set<string> => {
    const known = all.get(name)
    if (known !== undefined) return known
    if (above.includes(name))
      throw invalid(
        file,
        `groups contain each other: ${[...above, name].map(one => one.slice(0, 60)).join(' → ')}`,
      )
    const { hosts: own = [], children = [] } = groups.get(name) ?? {}
    const found = new Set(own)
    for (const child of children) for (const host of of(child, [...above, name])) found.add(host)
    all.set(name, found)
    return found
  }
  for (const name of groups.keys()) of(name, [])
  return all
}

/** Levels of a group below `all`: deeper groups take precedence. `membersOf` has ruled out circles. */
function depthsOf({ groups }: RawInventory): (name: string) => number {
  const parents = new Map<string, string[]>()
  for (const [name, { children }] of groups)
    for (const child of children) parents.set(child, [...(parents.get(child) ?? []), name])
  const known = new Map<string, number>([['all', 0]])
  const depth = (name: string): number => {
    const before = known.get(name)
    if (before !== undefined) return before
    const found = 1 + Math.max(0, ...(parents.get(name) ?? []).map(depth))
    known.set(name, found)
    return found
  }
  return depth
}

async function fileOf(path: string): Promise<{ file: string; others: string[] }> {
  try {
    if (!(await stat(path)).isDirectory()) return { file: path, others: [] }
    const there = await readdir(path)
    const [name, ...others] = fileNames.filter(one => there.includes(one))
    if (name !== undefined) return { file: join(path, name), others }
  } catch (error) {
    throw fromSystemError(error, path)
  }
  throw new AirgapError('FILE_NOT_FOUND', 'the folder has no hosts file', {
    item: path,
    likely: `searched for ${fileNames.join(', ')}`,
    next: 'pass the file itself with --from',
  })
}
