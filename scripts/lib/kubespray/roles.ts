import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'

/**
 * Kubespray's roles for container engines download what they need even where `downloads.NAME.enabled` is false: cri-o depends on
 * runc, which is `enabled` for containerd only. So the dependencies between these roles are followed, too.
 */
const engines = 'container-engine'

interface Dependency {
  role: string
  /** Jinja conditions, of which all must hold */
  when: string[]
}

export type EngineRoles = Record<string, { dependencies: Dependency[]; downloads: string[] }>

/** Reads container-engine and every role below it, by name (`container-engine/cri-o`). */
export async function readEngineRoles(checkout: string): Promise<EngineRoles> {
  const roles = join(checkout, 'roles')
  const below = await names(join(roles, engines))
  const found: EngineRoles = {}
  for (const role of [engines, ...below.map(name => `${engines}/${name}`)]) {
    const tasks = await texts(join(roles, role, 'tasks'))
    const [meta] = await texts(join(roles, role, 'meta'))
    found[role] = {
      dependencies: dependenciesOf(parse(meta ?? '')),
      downloads: [...tasks.join('\n').matchAll(/combine\(downloads\.(\w+)\)/g)].map(match => match[1]!),
    }
  }
  return found
}

/** Templates by which ansible evaluates each condition. A condition may name a variable that only its role defines. */
export function conditionsOf(roles: EngineRoles): Record<string, string> {
  const counting = Object.values(roles)
    .flatMap(({ dependencies }) => dependencies)
    .filter(({ role }) => takenFrom(role, { roles, holds: () => true }).size > 0)
    .flatMap(({ when }) => when)
  return Object.fromEntries(counting.map(when => [when, `{{ (${when}) | bool }}`]))
}

/** Names of the `downloads` that the roles take under the conditions that hold. */
export function downloadsOfRoles(roles: EngineRoles, holds: (condition: string) => boolean): Set<string> {
  return takenFrom(engines, { roles, holds })
}

function takenFrom(
  start: string,
  { roles, holds }: { roles: EngineRoles; holds: (condition: string) => boolean },
): Set<string> {
  const reached = new Set<string>([start])
  for (const name of reached) {
    for (const { role, when } of roles[name]?.dependencies ?? []) if (when.every(holds)) reached.add(role)
  }
  return new Set([...reached].flatMap(name => roles[name]?.downloads ?? []))
}

function dependenciesOf(
  meta: { dependencies?: (string | { role: string; when?: unknown })[] } | null,
): Dependency[] {
  return (meta?.dependencies ?? []).map(dependency => {
    if (typeof dependency === 'string') return { role: dependency, when: [] }
    return { role: dependency.role, when: [dependency.when ?? []].flat().map(String) }
  })
}

async function texts(folder: string): Promise<string[]> {
  const files = (await names(folder)).filter(name => /\.ya?ml$/.test(name))
  return await Promise.all(files.map(name => readFile(join(folder, name), 'utf8')))
}

async function names(folder: string): Promise<string[]> {
  return await readdir(folder).catch(error => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
    throw error
  })
}
