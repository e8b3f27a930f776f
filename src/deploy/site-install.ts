import { join } from 'node:path'
import { readTree, type TreeEntries } from '../content/tree.ts'
import { AirgapError } from '../core/errors.ts'
import { ansibleVariable } from '../install/ansible-variables.ts'
import { type Deployment, readDeployment } from '../install/deployment.ts'
import type { DeploymentTree } from '../install/steps/lay-down.ts'
import type { SiteFile } from '../inventory/schema.ts'
import type { SiteState } from '../site/state.ts'

/** What is installed on the machines of a site: site.yaml says where, install.yaml of the deployment tree says what. */
export interface SiteInstall {
  site: SiteFile
  deployment: Deployment
  tree: DeploymentTree
  entries: TreeEntries
  /** where the tree is laid down */
  folder: string
}

/** Undefined where no tree of the bundles says how it is installed. Throws USAGE where several do, UNSUPPORTED. */
export async function openSiteInstall(
  site: SiteFile,
  { trees, state }: { trees: readonly DeploymentTree[]; state: SiteState },
): Promise<SiteInstall | undefined> {
  const found: SiteInstall[] = []
  for (const tree of trees) {
    const entries = await readTree(tree.store, tree.roots)
    const deployment = await readDeployment(tree.store, entries)
    if (deployment !== undefined)
      found.push({ site, deployment, tree, entries, folder: join(state.paths.deploy, tree.name) })
  }
  if (found.length <= 1) return found[0]
  throw new AirgapError('USAGE', `${found.length} deployment trees have an install.yaml`, {
    item: found.map(({ tree }) => tree.name).join(', '),
    likely: 'bundles of two stacks were named at once',
    next: 'install one stack at a time: name its bundle alone with --bundle, and its own state folder with --site',
  })
}

/** Returns the value of a variable of the playbooks on the machines of some groups; undefined where it is not a plain value. */
export async function variableOf(
  { site, deployment, entries, tree, folder }: SiteInstall,
  name: string,
  { groups, playbook }: { groups: readonly string[]; playbook?: string | undefined },
): Promise<string | undefined> {
  return await ansibleVariable(name, {
    site: site.kubespray,
    store: tree.store,
    entries,
    folder,
    inventory: deployment.kubespray?.inventory,
    groups,
    playbook,
  })
}

/** Returns kubespray's `kube_version` as the site or the deployment tree sets it, in the form that the tree's kubespray understands. */
export async function kubeVersion(install: SiteInstall): Promise<string | undefined> {
  return await variableOf(install, 'kube_version', { groups: ['k8s_cluster', 'all'] })
}
