import { isSecretName } from '../core/secret-names.ts'
import { controlPlaneGroups, knownGroups, takenNames } from './inventory-names.ts'
import type { Inventory } from './read-inventory.ts'

/** The first of many names, for one line. */
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
      : [`not taken over: etcd on ${some(apart)}: it runs on the control plane here, and there alone`]),
    ...(without.length === 0
      ? []
      : [`not taken over: no etcd on ${some(without)}: it runs on every machine of the control plane here`]),
  ]
}

export function groupNotes({ members }: Inventory): string[] {
  return [...members].flatMap(([group, hosts]) =>
    knownGroups.has(group) || hosts.size === 0
      ? []
      : [`not taken over: group ${group} (${some([...hosts])})`],
  )
}

/** Every variable that site.yaml has no place for, by where it stands; names alone, never what they are set to. */
export function variableNotes({ hosts, sources }: Inventory): string[] {
  const byNames = new Map<string, string[]>()
  const tell = (where: string, variables: ReadonlyMap<string, unknown>) => {
    const names = [...variables.keys()].filter(name => !takenNames.has(name))
    const all = names.join(', ')
    if (all !== '') byNames.set(all, [...(byNames.get(all) ?? []), where])
  }
  for (const { name, variables } of hosts.values()) tell(name, variables)
  for (const { label, variables } of sources) tell(label, variables)
  return [...byNames].flatMap(([joined, places]) => {
    const names = joined.split(', ')
    const secrets = names.filter(name => isSecretVariable(name))
    const others = names.filter(name => !isSecretVariable(name))
    return [
      ...(secrets.length === 0
        ? []
        : [
            `not taken over: ${some(places)}: ${secrets.join(', ')}: secrets are not copied, they are asked for`,
          ]),
      ...(others.length === 0
        ? []
        : [
            `not taken over: ${some(places)}: ${others.join(', ')}: the bundle brings its own; what this site needs goes under kubespray:`,
          ]),
    ]
  })
}

/** Besides secret names: by Ansible's convention, `vault_*` variables are those that ansible-vault encrypts. */
function isSecretVariable(name: string): boolean {
  return name.startsWith('vault_') || isSecretName(name)
}
