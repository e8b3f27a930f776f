import { join } from 'node:path'
import { readTree } from '../../content/tree.ts'
import { type Digest, digestOf } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import type { ClientFile } from '../../site/client-files.ts'
import { planFiles, writeFiles } from '../../site/managed-files.ts'
import { applyValues, isApplied, planValues, type ValuesPlan } from '../../values/file.ts'
import { addSettings, type Settings, settingLines } from '../../values/set.ts'
import { layDownRecordOf, valuesRecordOf } from '../lay-down-record.ts'
import type { Step } from '../step.ts'
import { isInTrustStore, lacksCa, updateTrustStore } from '../trust-store.ts'
import type { DeploymentTree } from './lay-down.ts'

export interface ConfigureOptions {
  trees: readonly DeploymentTree[]
  /** where the trees are laid down */
  folder: string
  /** which `environments/ENV/values.yaml` */
  environment: string
  values: Settings
  /** settings of other files, by path in their tree: kubespray's variables of a closed site */
  variables: ReadonlyMap<string, Settings>
  /** root of the host whose files are written; undefined: none are */
  nodeRoot: string | undefined
  /** the client files; for `plan` without a key, so that their texts are not final */
  clients: (purpose: 'plan' | 'write') => Promise<readonly ClientFile[]>
  /** PEM of the CA with which pods check the servers, where they need one; with `plan` undefined also where it was not made yet */
  ca: (purpose: 'plan' | 'write') => Promise<string | undefined>
  /** selects those for the host with this root */
  selectForNode: (files: readonly ClientFile[], options: { root: string }) => Promise<readonly ClientFile[]>
  /** folder for copies of all client files, for other machines */
  clientsFolder: string
  /** path of the record of written files */
  record: string
}

interface ValuesFileOfTree {
  path: string
  /** digests that the step lay-down may have left there, in this run or earlier */
  brought: () => (Digest | undefined)[]
  /** the tree's own versions of it */
  laidDown: readonly Digest[]
  settings: Settings
  /** path of the record of the settings */
  record: string
}

function repositoriesIn(files: readonly ClientFile[]): string[] {
  return files.flatMap(file =>
    file.kind === 'apt-sources' || file.kind === 'yum-repo' ? [file.repository] : [],
  )
}

/** Undefined where this host gets package sources, or the bundles have none. */
function withoutSources(selected: readonly ClientFile[], all: readonly ClientFile[]): string | undefined {
  const names = repositoriesIn(all)
  if (names.length === 0 || repositoriesIn(selected).length > 0) return undefined
  return `no package sources for this host: the bundles have repositories for other systems (${names.join(', ')})`
}

/** The settings, with the CA with which pods check the servers. */
function withCa(settings: Settings, ca: string | undefined): Settings {
  return ca === undefined ? settings : addSettings(settings, { offline: { caCertificate: ca } })
}

/** Points the deployment tree and this host at the site's servers. */
export function configureStep(options: ConfigureOptions): Step {
  const { trees, folder, environment, values, variables, nodeRoot, clients, clientsFolder, record } = options
  /** the plans that the operator has seen: anything else is refused */
  const planned = new Map<string, ValuesPlan>()

  async function valuesFiles(purpose: 'plan' | 'write'): Promise<ValuesFileOfTree[]> {
    const ofEnvironment = withCa(values, await options.ca(purpose))
    const found: ValuesFileOfTree[] = []
    const others = new Set<string>()
    for (const tree of trees) {
      for (const [path, entry] of await readTree(tree.store, tree.roots)) {
        const { digest } = entry.descriptor
        const file = {
          path: join(folder, tree.name, path),
          brought: () => [digest, tree.merged?.get(path)],
          laidDown: [digest],
          record: valuesRecordOf(layDownRecordOf(folder, tree.name), path),
        }
        const settings = variables.get(path)
        if (settings !== undefined) found.push({ ...file, settings })
        const name = /^environments\/([^/]+)\/values\.yaml$/.exec(path)?.[1]
        if (name === environment) found.push({ ...file, settings: ofEnvironment })
        else if (name !== undefined) others.add(name)
      }
    }
    if (!found.some(file => file.settings === ofEnvironment) && others.size > 0) {
      throw new AirgapError('FILE_NOT_FOUND', 'the deployment tree has no such environment', {
        item: `environments/${environment}/values.yaml`,
        likely: `it has ${[...others].sort().join(', ')}`,
        next: 'choose one with --env',
      })
    }
    return found
  }

  async function describeValues(file: ValuesFileOfTree): Promise<string[]> {
    const { path, settings } = file
    try {
      const plan = await planValues(path, file)
      planned.set(path, plan)
      if (plan.after === plan.before) return [`${path}: already configured`]
      return [
        `edit ${path} (the original is kept as ${plan.backup}):`,
        ...plan.diff.split('\n').map(line => `  ${line}`),
      ]
    } catch (error) {
      if (!isErrorCode(error, 'FILE_NOT_FOUND')) throw error
      return [
        settings.offline !== undefined
          ? `set ${settingLines(values).join(' and ')} in ${path}`
          : `set the site's addresses in ${path}`,
      ]
    }
  }

  async function nodeFiles(
    purpose: 'plan' | 'write',
  ): Promise<{ files: readonly ClientFile[]; root: string; note?: string | undefined }[]> {
    const files = await clients(purpose)
    const copies = { files, root: clientsFolder }
    if (nodeRoot === undefined) return [copies]
    const selected = await options.selectForNode(files, { root: nodeRoot })
    return [copies, { files: selected, root: nodeRoot, note: withoutSources(selected, files) }]
  }

  return {
    id: 'configure',
    title: 'Point values files and clients at the site',
    needs: ['lay-down', 'serve'],
    inputs: {
      environment,
      values,
      variables: Object.fromEntries(variables),
      nodeRoot,
      trees: trees.map(tree => tree.roots.map(root => root.digest)),
    },
    async describe() {
      const lines = (await Promise.all((await valuesFiles('plan')).map(describeValues))).flat()
      for (const { files, root, note } of await nodeFiles('plan')) {
        if (note !== undefined) lines.push(note)
        if (root === clientsFolder) {
          lines.push(`write ${files.length} client files below ${clientsFolder}`)
          continue
        }
        for (const { path, change } of await planFiles(files, { root })) {
          if (change === 'create') lines.push(`create ${path}`)
          if (change === 'replace') lines.push(`replace ${path}, with a backup of the file if it is not ours`)
        }
      }
      if (nodeRoot === undefined) lines.push('leave the configuration of this host as it is (--node-root)')
      return lines
    },
    async check() {
      for (const file of await valuesFiles('write')) {
        if (!isApplied(await planValues(file.path, file))) return 'pending'
      }
      for (const { files, root } of await nodeFiles('write')) {
        const plan = await planFiles(files, { root })
        if (plan.some(file => file.change !== 'none')) return 'pending'
        // a run was killed before it updated the store; that of another root is updated by hand
        if (root === '/' && (await lacksCa(files, { root }))) return 'pending'
      }
      return 'done'
    },
    async apply({ progress, signal }) {
      for (const file of await valuesFiles('write')) {
        const { path, brought } = file
        const now = await planValues(path, file)
        const shown = planned.get(path)
        const before = digestOf(now.before)
        // what the tree itself brought a moment ago is nobody's edit; the CA may have been made after the plan
        const unedited = shown === undefined || shown.beforeDigest === before || brought().includes(before)
        const plan = unedited ? now : shown
        progress.note(`configure: ${path}: ${await applyValues(plan)}`)
      }
      for (const { files, root, note } of await nodeFiles('write')) {
        if (note !== undefined) progress.note(`configure: ${note}`)
        const changes = await writeFiles(files, { root, record, obsolete: () => true })
        for (const { path, change } of changes) {
          if (change !== 'none' && root !== clientsFolder) progress.note(`configure: ${path}: ${change}d`)
        }
        if (root === clientsFolder) continue
        const inStore = changes.some(
          ({ path, change }) => change !== 'none' && isInTrustStore(path, { root }),
        )
        if (!inStore && !(root === '/' && (await lacksCa(files, { root })))) continue
        const leftToDo = await updateTrustStore({ root, signal })
        if (leftToDo !== undefined) progress.note(`configure: ${leftToDo}`)
      }
    },
  }
}
