import { invalid, shown } from './read-source.ts'

export interface Host {
  name: string
  /** `file:line` of its first appearance */
  place: string
  variables: Map<string, unknown>
}

export interface Group {
  hosts: Set<string>
  children: Set<string>
  variables: Map<string, unknown>
}

export interface RawInventory {
  hosts: Map<string, Host>
  groups: Map<string, Group>
}

const maxHosts = 5_000

export const maxGroups = 2_000

export function hostOf(raw: RawInventory, name: string, at: { place: string; file: string }): Host {
  const host = raw.hosts.get(name) ?? { name, place: at.place, variables: new Map() }
  raw.hosts.set(name, host)
  if (raw.hosts.size > maxHosts) throw invalid(at.file, `more than ${maxHosts} hosts`)
  return host
}

export function groupOf(raw: RawInventory, name: string, file: string): Group {
  const group = raw.groups.get(name) ?? { hosts: new Set(), children: new Set(), variables: new Map() }
  raw.groups.set(name, group)
  if (raw.groups.size > maxGroups) throw invalid(file, `more than ${maxGroups} groups`)
  return group
}

/** `node[01:03]` → node01, node02, node03; also `[a:c]`, `[1:9:2]` and several ranges in one pattern */
export function expanded(pattern: string, place: string): string[] {
  const [, head = '', from, to, step = '1', tail = ''] =
    /^([^[]*)\[(\d{1,9}|[a-zA-Z]):(\d{1,9}|[a-zA-Z])(?::(\d{1,9}))?\](.*)$/.exec(pattern) ?? []
  if (from === undefined || to === undefined) return [pattern]
  const digits = /\d/.test(from)
  const [first, last] = digits ? [Number(from), Number(to)] : [from.charCodeAt(0), to.charCodeAt(0)]
  const count = Math.floor((last - first) / Number(step)) + 1
  if (digits !== /\d/.test(to) || !(count >= 1 && count <= maxHosts))
    throw invalid(
      place,
      `a range of ${Number.isFinite(count) ? count : 'infinitely many'} hosts: ${shown(pattern)}`,
    )
  const tails = expanded(tail, place)
  if (tails.length * count > maxHosts)
    throw invalid(place, `a range of ${tails.length * count} hosts: ${shown(pattern)}`)
  return Array.from({ length: count }, (_, i) => {
    const at = first + i * Number(step)
    return `${head}${digits ? String(at).padStart(from.length, '0') : String.fromCharCode(at)}`
  }).flatMap(start => tails.map(end => `${start}${end}`))
}
