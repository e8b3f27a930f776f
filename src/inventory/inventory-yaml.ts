import { expanded, groupOf, hostOf, maxGroups, type RawInventory } from './raw-inventory.ts'
import { invalid, mapOf, yamlOf } from './read-source.ts'

/** Reads a YAML inventory. Throws SITE_INVALID. */
export function fromYaml(text: string, file: string): RawInventory {
  const { value, line } = yamlOf(text, { file, code: 'SITE_INVALID' })
  const raw: RawInventory = { hosts: new Map(), groups: new Map() }
  let visited = 0
  const walk = (name: string, value: unknown, path: readonly string[]): void => {
    if (path.length > 40 || ++visited > 10 * maxGroups) throw invalid(file, 'groups nested without end')
    const group = groupOf(raw, name, file)
    const { hosts, children, vars } = mapOf(value)
    for (const [pattern, variables] of Object.entries(mapOf(hosts))) {
      const place = `${file}:${line([...path, 'hosts', pattern])}`
      for (const host of expanded(pattern, place)) {
        group.hosts.add(host)
        const own = hostOf(raw, host, { place, file }).variables
        for (const [key, one] of Object.entries(mapOf(variables))) own.set(key, one)
      }
    }
    for (const [key, one] of Object.entries(mapOf(vars))) group.variables.set(key, one)
    for (const [child, inner] of Object.entries(mapOf(children))) {
      group.children.add(child)
      walk(child, inner, [...path, 'children', child])
    }
  }
  const top = Object.entries(mapOf(value))
  if (top.length === 0) throw invalid(file, 'it has no groups')
  for (const [name, inner] of top) walk(name, inner, [name])
  return raw
}
