import { isSecretName } from '../core/secret-names.ts'
import { closedDns } from './hosts.ts'
import { controlPlaneGroups, convertedNames, knownGroups } from './inventory-names.ts'
import type { Inventory } from './read-inventory.ts'

/** At most ten names, for one line. */
export function some(names: readonly string[]): string {
  const more = names.length - 10
  return more > 0 ? `${names.slice(0, 10).join(', ')} and ${more} more` : names.join(', ')
}

export function etcdNotes({ members }: Inventory): string[] {
  const etcd = members.get('etcd')
  if (etcd === undefined || etcd.size === 0) return []
  const control = new Set(controlPlaneGroups.flatMap(name => [...(members.get(name) ?? [])]))
  const apart = [...etcd].filter(name => !control.has(name))
  const without = [...control].filter(name => !etcd.has(name))
  return [
    ...(apart.length === 0
      ? []
      : [`not converted: etcd on ${some(apart)}: here it runs on control-plane nodes only`]),
    ...(without.length === 0
      ? []
      : [`not converted: no etcd on ${some(without)}: here it runs on every control-plane node`]),
  ]
}

export function groupNotes({ members }: Inventory): string[] {
  return [...members].flatMap(([group, hosts]) =>
    knownGroups.has(group) || hosts.size === 0 ? [] : [`not converted: group ${group} (${some([...hosts])})`],
  )
}

/** Lists every variable that site.yaml has no key for, by its file or host: names only, never values. */
export function variableNotes({ hosts, sources }: Inventory): string[] {
  const byNames = new Map<string, string[]>()
  const list = (where: string, variables: ReadonlyMap<string, unknown>) => {
    const names = [...variables]
      .filter(([name, value]) => !convertedNames.has(name) && closedDns[name] !== value)
      .map(([name]) => name)
    const all = names.join(', ')
    if (all !== '') byNames.set(all, [...(byNames.get(all) ?? []), where])
  }
  for (const { name, variables } of hosts.values()) list(name, variables)
  for (const { label, variables } of sources) list(label, variables)
  return [...byNames].flatMap(([joined, places]) => {
    const names = joined.split(', ')
    const secrets = names.filter(name => isSecretVariable(name))
    const others = names.filter(name => !isSecretVariable(name))
    return [
      ...(secrets.length === 0
        ? []
        : [
            `not converted: ${some(places)}: ${secrets.join(', ')}: secrets are not copied; offline-deploy prompts for the ones it needs`,
          ]),
      ...(others.length === 0
        ? []
        : [
            `not converted: ${some(places)}: ${others.join(', ')}: the bundle has its own values; set what this site needs under kubespray:`,
          ]),
    ]
  })
}

/** Besides secret names: by Ansible's convention, `vault_*` variables are those that ansible-vault encrypts. */
function isSecretVariable(name: string): boolean {
  return name.startsWith('vault_') || isSecretName(name)
}
