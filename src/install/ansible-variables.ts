import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import type { TreeEntries } from '../content/tree.ts'
import { readYaml } from '../document/parse-yaml.ts'

export interface VariableOptions {
  /** of site.yaml, which stand at each host of the generated inventory: they win */
  site: Readonly<Record<string, unknown>>
  store: ReadableStore
  /** files of the deployment tree */
  entries: TreeEntries
  /** where the tree is laid down: files that were edited there win over those of the bundle */
  folder: string
  /** in the tree: the folder with group_vars; undefined: it has none */
  inventory: string | undefined
  /** groups of a machine, the innermost first: `gpu_node`, `all` */
  groups: readonly string[]
  /** in the tree: the playbook whose roles have defaults */
  playbook?: string | undefined
}

/**
 * Returns the value that a variable has on the machines of some groups, in ansible's order of precedence: the host's own, the
 * group_vars of the tree, the defaults of the playbook's roles. Undefined where it is set nowhere, or is a list or a template.
 */
export async function ansibleVariable(name: string, options: VariableOptions): Promise<string | undefined> {
  if (Object.hasOwn(options.site, name)) return plain(options.site[name])
  for (const path of filesByPrecedence(options)) {
    const variables = await variablesIn(path, options)
    if (Object.hasOwn(variables, name)) return plain(variables[name])
  }
  return undefined
}

/** Of one group, ansible reads the files in alphabetical order, and the last one wins. */
function filesByPrecedence({ entries, inventory, groups, playbook }: VariableOptions): string[] {
  const paths = [...entries].flatMap(([path, { mode }]) => (mode === '120000' ? [] : [path]))
  const matching = (start: string, rest: RegExp) =>
    paths.filter(path => path.startsWith(start) && rest.test(path.slice(start.length)))
  const ofGroup = (group: string) =>
    matching(`${inventory}/group_vars/${group}`, /^(?:\.ya?ml|\/.+\.ya?ml)?$/)
      .sort()
      .reverse()
  const defaults =
    playbook === undefined ? [] : matching(`${dirname(playbook)}/roles/`, /^[^/]+\/defaults\/main\.ya?ml$/)
  return [...(inventory === undefined ? [] : groups.flatMap(ofGroup)), ...defaults]
}

async function variablesIn(
  path: string,
  { store, entries, folder }: VariableOptions,
): Promise<Record<string, unknown>> {
  const text = await readFile(join(folder, path), 'utf8').catch(async () =>
    (await readAll(store, entries.get(path)!.descriptor)).toString('utf8'),
  )
  // where it is invalid, ansible reports that when the playbook runs
  const { value } = readYaml(text, { tags: 'ignore' })
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function plain(value: unknown): string | undefined {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
  return text === undefined || text.includes('{{') ? undefined : text
}
