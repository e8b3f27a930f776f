import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { fromIni } from './inventory-ini.ts'
import { loginPasswords, sudoPasswords, takenNames } from './inventory-names.ts'
import { fromYaml } from './inventory-yaml.ts'
import type { Host, RawInventory } from './raw-inventory.ts'
import { invalid, textOf } from './read-source.ts'
import { variableFiles } from './variable-files.ts'

export interface Inventory {
  file: string
  hosts: Map<string, Host>
  /** group → hosts of its own and of its children */
  members: Map<string, Set<string>>
  /** variables of groups and of files, the ones that count less first */
  sources: { label: string; group?: string; host?: string; variables: Map<string, unknown> }[]
  notes: string[]
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

/** `path` is the file of hosts, or its folder. Throws SITE_INVALID, FILE_NOT_FOUND. */
export async function readInventory(path: string): Promise<Inventory> {
  const { file, others } = await fileOf(path)
  const text = await textOf(file)
  const isYaml =
    /\.(?:ya?ml|json)$/.test(file) || (!/\.ini$/.test(file) && /^\s*(?:---|all\s*:|\{)/m.test(text))
  const raw = isYaml ? fromYaml(text, file) : fromIni(text, file)
  if (raw.hosts.size === 0) throw invalid(file, 'it names no hosts')
  const members = membersOf(raw, file)
  const depth = depthsOf(raw)
  const inFile = [...raw.groups]
    .filter(([, { variables }]) => variables.size > 0)
    .sort(([a], [b]) => depth(a) - depth(b) || (a < b ? -1 : 1))
    .map(([group, { variables }]) => ({ label: `group ${group} in ${basename(file)}`, group, variables }))
  const notes = others.map(other => `not read: ${other}, which lies beside ${basename(file)}`)
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

/** As ansible lays them over each other: groups (parents first), the host’s own, its host_vars. */
export function variablesOf(host: Host, { sources, members }: Inventory): Map<string, unknown> {
  const merged = new Map<string, unknown>()
  const lay = (variables: ReadonlyMap<string, unknown>) => {
    for (const name of [...takenNames, ...loginPasswords, ...sudoPasswords])
      if (variables.has(name)) merged.set(name, variables.get(name))
  }
  for (const { group, variables } of sources)
    if (group !== undefined && (group === 'all' || members.get(group)?.has(host.name))) lay(variables)
  lay(host.variables)
  for (const source of sources) if (source.host === host.name) lay(source.variables)
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

/** How far a group is below `all`: what is deeper counts more. `membersOf` found that there is no circle. */
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
    const [name, ...others] = names.filter(one => there.includes(one))
    if (name !== undefined) return { file: join(path, name), others }
  } catch (error) {
    throw fromSystemError(error, path)
  }
  throw new AirgapError('FILE_NOT_FOUND', 'the folder has no file of hosts', {
    item: path,
    likely: `looked for ${names.join(', ')}`,
    next: 'name the file itself with --from',
  })
}
