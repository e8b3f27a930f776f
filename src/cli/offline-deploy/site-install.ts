import { readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { readAll } from '../../content/read.ts'
import { treesOf } from '../../content/shards.ts'
import type { ReadableStore } from '../../content/store.ts'
import { readTree, type TreeEntries } from '../../content/tree.ts'
import { digestOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import type { OpenBundle } from '../../deploy/open-bundles.ts'
import type { Passwords } from '../../deploy/passwords.ts'
import { ansibleVariable } from '../../install/ansible-variables.ts'
import { type Deployment, readDeployment } from '../../install/deployment.ts'
import { folderDigest } from '../../install/folder-digest.ts'
import type { Cluster } from '../../install/kube.ts'
import { writeMachineRepositories } from '../../install/machine-repositories.ts'
import { limitedNodes } from '../../install/preflight/limit.ts'
import type { StepProgram } from '../../install/program.ts'
import type { Step } from '../../install/step.ts'
import { applicationStep } from '../../install/steps/application.ts'
import { backupStep } from '../../install/steps/backup.ts'
import { controlHostStep } from '../../install/steps/control-host.ts'
import { inventoryFiles, inventoryStep } from '../../install/steps/inventory.ts'
import { kubernetesStep } from '../../install/steps/kubernetes.ts'
import type { DeploymentTree } from '../../install/steps/lay-down.ts'
import { playbookStep } from '../../install/steps/playbook.ts'
import { secretsStep } from '../../install/steps/secrets.ts'
import { verificationStep } from '../../install/steps/verification.ts'
import { inventoryText, siteFacts } from '../../inventory/hosts.ts'
import type { NodeRole, SiteFile } from '../../inventory/schema.ts'
import type { ClientFile } from '../../site/client-files.ts'
import { kubesprayMirrors, type RegistryMirrors } from '../../site/registry-mirrors.ts'
import { declarationPath, secretsOf } from '../../site/secrets-file.ts'
import type { SiteState } from '../../site/state.ts'
import { isTree, nested, type Settings, settingsOf, type ValueTree } from '../../values/set.ts'
import { clusterExpectations } from './cluster.ts'
import { siteTools } from './site-tools.ts'

/** What is installed on the machines of a site: site.yaml says where, install.yaml of the deployment tree says what. */
export interface SiteInstall {
  site: SiteFile
  deployment: Deployment
  tree: DeploymentTree
  entries: TreeEntries
  /** where the tree is laid down */
  folder: string
}

/** Undefined where no tree of the bundles says how it is installed. */
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
  if (found.length > 1) {
    throw new AirgapError('USAGE', 'several deployment trees want to be installed', {
      item: found.map(({ tree }) => tree.name).join(', '),
      likely: 'bundles of two stacks are given at once',
      next: 'install one of them at a time: give its bundle alone with --bundle, and a state folder of its own with --site',
    })
  }
  return found[0]
}

/** What the site says, for environments/NAME/values.yaml. */
export function siteValues({ site, deployment }: SiteInstall): ValueTree {
  const facts = siteFacts(site)
  const mapped = Object.entries(deployment.values).flatMap(([path, fact]) => {
    if (!(fact in facts))
      throw new AirgapError('UNSUPPORTED', 'install.yaml asks for a fact that no site has', {
        item: `values.${path}: ${fact}`,
        likely: `there are ${Object.keys(facts).join(', ')}`,
        next: 'correct install.yaml, and have the bundle built again',
      })
    return facts[fact] === undefined ? [] : [[path, facts[fact]] as const]
  })
  const applications = Object.entries(site.switches.applications).map(([name, on]) => [name, on] as const)
  const known = deployment.applications?.order ?? []
  const unknown = applications.find(([name]) => !known.includes(name))
  if (unknown !== undefined)
    throw new AirgapError('SITE_INVALID', 'site.yaml switches an application that there is none of', {
      item: `switches.applications.${unknown[0]}`,
      likely: `there are ${known.join(', ')}`,
      next: 'correct site.yaml',
    })
  return merged(nested(Object.fromEntries(mapped)), site.values)
}

function merged(base: ValueTree, over: ValueTree): ValueTree {
  const result: ValueTree = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const there = result[key]
    result[key] = isTree(there) && isTree(value) ? merged(there, value) : value
  }
  return result
}

/** Files of the tree, besides values files, in which the site's servers are set. */
export function siteVariables(
  { deployment }: SiteInstall,
  options: { registry: string; httpServer: string; mirrors: readonly RegistryMirrors[] },
): Map<string, Settings> {
  const { registry, httpServer, mirrors } = options
  const { kubespray } = deployment
  if (kubespray === undefined) return new Map()
  const path = `${kubespray.inventory}/${kubespray.offlineVariables}`
  const settings = { registry_host: registry, http_server: httpServer, ...kubesprayMirrors(mirrors) }
  return new Map([[path, settingsOf(settings)]])
}

export interface SiteStepsOptions {
  install: SiteInstall
  bundles: readonly OpenBundle[]
  store: ReadableStore
  state: SiteState
  passwords: Passwords
  clients: (purpose: 'plan' | 'write') => Promise<readonly ClientFile[]>
  registry: string
  httpServer: string
  /** the index of wheels, as this host reaches it */
  index: string
  limit: string | undefined
  silenceMs: number
  /** archives of the bundle's charts: file → digest */
  charts: TreeEntries
  /** what is there is changed: it is saved first, and components come in the order that the bundle's rules name */
  upgrade?: { order: readonly string[] } | undefined
}

/** Saves what an upgrade changes; stands before all other steps. */
export function siteBackup(options: SiteStepsOptions): Step {
  const { install, state, bundles } = options
  const { site, deployment, folder } = install
  const { ansible, cluster } = siteTools(site, options)
  const { backup } = deployment.playbooks
  return backupStep({
    folder: join(state.folder, 'backups'),
    copies: {
      'site.yaml': state.paths.siteFile,
      'config.json': state.paths.config,
      'journal.jsonl': state.paths.journal,
      inventory: state.paths.inventory,
      [install.tree.name]: folder,
    },
    ...{ cluster, ansible, cwd: folder },
    playbook: backup !== undefined && site.switches.kubernetes ? join(folder, backup) : undefined,
    backups: deployment.backups.filter(
      ({ application }) => site.switches.applications[application] !== false,
    ),
    // one for each way from what is installed to what comes, also where it was gone before
    inputs: async () => ({
      from: await readFile(state.paths.installed, 'utf8').catch(() => ''),
      to: bundles.map(({ store }) => store.indexDigest),
    }),
  })
}

/** The steps after the servers run, in order. */
export async function siteSteps(options: SiteStepsOptions): Promise<Step[]> {
  const { install, bundles, store, state } = options
  const { site, deployment, entries, folder } = install
  const { paths } = state
  const { paths: tools, ansible, cluster, program } = siteTools(site, options)
  const hosts = inventoryText(site, { registry: options.registry, httpServer: options.httpServer })
  const trees = bundles.flatMap(bundle => treesOf(bundle.store.roots()))
  const repositories = trees
    .filter(({ name }) => /^(?:debs|rpms)\//.test(name))
    .map(({ name, roots }) => [name, roots.map(root => root.digest)] as const)
  const inventoryRecord = join(state.folder, 'inventory.json')
  const named = (...roles: NodeRole[]) =>
    site.nodes.filter(node => roles.some(role => node.roles.includes(role))).map(({ name }) => name)
  const limitTo = (machines: readonly string[]) => {
    if (options.limit === undefined) return undefined
    const names = limitedNodes(site.nodes, options.limit).map(({ name }) => name)
    return { pattern: options.limit, machines: machines.filter(name => names.includes(name)) }
  }
  const carried = await entriesOf(bundles, 'files')
  const inputsOf =
    (...folders: string[]) =>
    async () => ({
      files: await folderDigest(folder, folders),
      hosts: digestOf(hosts),
      httpServer: options.httpServer,
      repositories,
    })
  const steps: Step[] = []
  if (entries.has(declarationPath)) steps.push(secretsStep(secretsOf(folder, site.environment)))
  steps.push(
    inventoryStep({
      files: async purpose => inventoryFiles(await options.clients(purpose), hosts),
      folder: paths.inventory,
      groupVars: deployment.kubespray && join(folder, deployment.kubespray.inventory, 'group_vars'),
      record: inventoryRecord,
      inputs: async () => ({ hosts: digestOf(hosts), httpServer: options.httpServer }),
    }),
    controlHostStep({
      ...{ deployment, program, tree: folder, index: options.index, folder: paths.tools },
      files: { store, entries: carried },
      wheels: { store, entries: await entriesOf(bundles, 'pypi') },
      requirements:
        deployment.python === undefined
          ? null
          : (entries.get(deployment.python.requirements)?.descriptor.digest ?? null),
    }),
  )
  const { playbooks, kubespray } = deployment
  const playbook = (path: string) => ({
    ...{ ansible, cwd: folder, playbook: join(folder, path) },
    inputs: inputsOf(path.slice(0, Math.max(path.lastIndexOf('/'), 0)) || path),
  })
  const machinesFor = (pattern: string, machines: readonly string[]) => ({
    ...{ pattern, machines, limit: limitTo(machines) },
  })
  if (playbooks.nodes !== undefined)
    steps.push(
      playbookStep({
        ...playbook(playbooks.nodes),
        ...{ id: 'nodes', title: 'the machines ask the site, and have what the platform needs' },
        needs: ['inventory', 'control-host'],
        ...machinesFor(
          'k8s_cluster:etcd:nfs_server',
          site.nodes.map(({ name }) => name),
        ),
        // what lies beside the inventory is laid on the machines
        inputs: async () => ({
          of: await playbook(playbooks.nodes!).inputs(),
          beside: inventoryFiles(await options.clients('plan'), '').map(({ path, text }) => [
            path,
            digestOf(text),
          ]),
        }),
        prepare: (pattern, context) =>
          writeMachineRepositories(
            {
              ansible,
              pattern,
              repositories: repositories.map(([name]) => basename(name)),
              folder: paths.inventory,
              record: inventoryRecord,
            },
            context,
          ),
        does: ['package sources and keys of the site', 'base packages', 'mirrors of containerd'],
      }),
    )
  const before = playbooks.nodes === undefined ? 'control-host' : 'nodes'
  const clusterMachines = named('control-plane', 'worker')
  if (kubespray !== undefined && site.switches.kubernetes)
    steps.push(
      kubernetesStep({
        ...{ ansible, cluster, kubespray: tools.kubespray, needs: [before] },
        ...{
          machines: clusterMachines,
          controlPlane: named('control-plane'),
          limit: limitTo(clusterMachines),
        },
        upgrade: options.upgrade !== undefined,
        version:
          site.versions.kubernetes ??
          (await variableOf(install, 'kube_version', { groups: ['k8s_cluster', 'all'] })),
        inputs: async () => ({
          of: await inputsOf(kubespray.inventory)(),
          // kubespray itself, and what it lays on the machines
          files: [...carried]
            .filter(([path]) => !Object.values(deployment.tools).some(({ file }) => file === path))
            .map(([path, { descriptor }]) => [path, descriptor.digest]),
        }),
      }),
    )
  const gpus = named('gpu')
  if (playbooks.gpuDriver !== undefined && site.switches.gpuDriver && gpus.length > 0)
    steps.push(
      playbookStep({
        ...playbook(playbooks.gpuDriver),
        ...{ id: 'gpu-driver', title: 'NVIDIA’s driver', needs: [before] },
        ...machinesFor('gpu_node', gpus),
        does: ['driver and kernel headers, one machine after the other', 'no reboot'],
      }),
    )
  const servers = named('nfs')
  if (playbooks.nfs !== undefined && site.switches.nfs && servers.length > 0)
    steps.push(
      playbookStep({
        ...playbook(playbooks.nfs),
        ...{ id: 'nfs', title: 'NFS for the volumes', needs: [before] },
        ...machinesFor('nfs_server', servers),
        does: [`export ${site.nfs?.path ?? ''} to ${(site.nfs?.networks ?? ['the nodes']).join(', ')}`],
      }),
    )
  steps.push(...(await applicationSteps({ ...options, cluster, program, before: steps.map(({ id }) => id) })))
  const inCluster = steps.map(({ id }) => id).filter(id => id === 'kubernetes' || id.startsWith('app-'))
  if (inCluster.length > 0)
    steps.push(verificationStep({ ...clusterExpectations(options), cluster, needs: inCluster }))
  return steps
}

async function applicationSteps(
  options: SiteStepsOptions & {
    cluster: Cluster
    program: (name: string) => Pick<StepProgram, 'log' | 'running' | 'silenceMs'>
    before: readonly string[]
  },
): Promise<Step[]> {
  const { install, cluster, program, before, charts } = options
  const { site, deployment, folder, entries, tree } = install
  const { applications } = deployment
  if (applications === undefined) return []
  const steps: Step[] = []
  const wanted = applications.order.filter(one => site.switches.applications[one] !== false)
  for (const name of inUpgradeOrder(wanted, options.upgrade?.order ?? [])) {
    const own = `applications/${name}`
    const environment = `environments/${site.environment}`
    const used = await chartsOf(own, { entries, store: tree.store, charts })
    steps.push(
      applicationStep({
        ...{ name, cluster, program, environment: site.environment },
        needs: before.filter(id => ['control-host', 'secrets', 'kubernetes', 'nfs'].includes(id)),
        helmfile: join(folder, applications.helmfile),
        inputs: async () => ({
          files: await folderDigest(folder, [
            ...[own, applications.helmfile, 'environments/common', `${environment}/values.yaml`],
          ]),
          charts: used,
          secrets: await changeOf(join(folder, environment, 'secrets.yaml')),
        }),
      }),
    )
  }
  return steps
}

/** What the rules name comes first, in their order; the others keep theirs. */
function inUpgradeOrder(names: readonly string[], order: readonly string[]): string[] {
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length)
  return names.toSorted((a, b) => place(a) - place(b))
}

/** Charts of the bundle that an application's files name. */
async function chartsOf(
  own: string,
  { entries, store, charts }: { entries: TreeEntries; store: ReadableStore; charts: TreeEntries },
): Promise<[string, string][]> {
  let text = ''
  for (const [path, { descriptor, mode }] of entries) {
    if (path.startsWith(`${own}/`) && /\.ya?ml(?:\.gotmpl)?$/.test(path) && mode !== '120000')
      text += (await readAll(store, descriptor)).toString('utf8')
  }
  return [...charts].flatMap(([file, { descriptor }]) =>
    text.includes(file) ? [[file, descriptor.digest]] : [],
  )
}

/** A digest of secrets would tell something about them: the time of their last change does not. */
async function changeOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  return found === undefined ? 'none' : `${found.size} ${Math.trunc(found.mtimeMs)}`
}

async function entriesOf(bundles: readonly OpenBundle[], name: string): Promise<TreeEntries> {
  const all: TreeEntries = new Map()
  for (const { store } of bundles) {
    for (const tree of treesOf(store.roots()))
      if (tree.name === name)
        for (const [path, entry] of await readTree(store, tree.roots)) all.set(path, entry)
  }
  return all
}

/** Returns the value of a variable of the playbooks, on the machines of some groups; undefined where it is not plain. */
export async function variableOf(
  { site, deployment, entries, tree, folder }: SiteInstall,
  name: string,
  options: { groups: readonly string[]; playbook?: string | undefined },
): Promise<string | undefined> {
  return await ansibleVariable(name, {
    site: site.kubespray,
    store: tree.store,
    entries,
    folder,
    inventory: deployment.kubespray?.inventory,
    groups: options.groups,
    playbook: options.playbook,
  })
}
