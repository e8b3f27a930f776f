import { join } from 'node:path'
import { treesOf } from '../../content/shards.ts'
import type { ReadableStore } from '../../content/store.ts'
import type { TreeEntries } from '../../content/tree.ts'
import { digestOf } from '../../core/digest.ts'
import { folderDigest } from '../../install/folder-digest.ts'
import type { Cluster } from '../../install/kube.ts'
import { limitedNodes } from '../../install/preflight/limit.ts'
import type { SiteServers } from '../../install/site-servers.ts'
import type { DeploymentTree } from '../../install/steps/lay-down.ts'
import { inventoryText } from '../../inventory/hosts.ts'
import type { NodeRole } from '../../inventory/schema.ts'
import type { Signer, SiteMount } from '../../kinds/mount.ts'
import { httpServerOf, registryOf } from '../../site/address.ts'
import { type ClientFile, caFileOf } from '../../site/client-files.ts'
import { mergedStore } from '../../site/content.ts'
import type { RegistryMirrors } from '../../site/registry-mirrors.ts'
import { httpView, registryView } from '../../site/site-view.ts'
import type { SiteState } from '../../site/state.ts'
import { deploymentTrees, treeEntries } from '../bundle-trees.ts'
import type { DeployContext } from '../context.ts'
import type { OpenBundle } from '../open-bundles.ts'
import { ownServers } from '../own-servers.ts'
import { openPasswords, type Passwords } from '../passwords.ts'
import { readServiceRecord, type ServiceRecord } from '../service-record.ts'
import type { Setup } from '../set-up.ts'
import { kubeVersion, openSiteInstall, type SiteInstall } from '../site-install.ts'
import { openKey } from '../site-key.ts'
import { caForMachines, knownCa } from '../site-tls.ts'
import { type SiteTools, siteTools } from '../site-tools.ts'
import type { ServerAddresses } from '../site-values.ts'

export interface StepsOptions {
  bundles: readonly OpenBundle[]
  setup: Setup
  state: SiteState
  context: DeployContext
  /** used instead of the cluster of the site's state */
  cluster?: Cluster | undefined
  /** `plan` does not prompt for passwords */
  purpose: 'plan' | 'apply'
  /** of the machines, as ansible takes it */
  limit?: string | undefined
  /** how long a program may print nothing */
  silenceMs?: number | undefined
  /** the site is backed up first, and components come in this order, which the bundle's rules name */
  upgrade?: { order: readonly string[] } | undefined
}

/** What the steps of every site are made of. */
export interface SiteParts extends StepsOptions, ServerAddresses {
  /** content of all bundles */
  store: ReadableStore
  trees: readonly DeploymentTree[]
  /** archives of the bundles' charts by file name */
  charts: TreeEntries
  mirrors: readonly RegistryMirrors[]
  /** the site's servers, as this host reaches them */
  servers: SiteServers
  /** the systemd service that runs them; undefined: none */
  service: ServiceRecord | undefined
  /** what the HTTP server serves; without the site's signatures */
  mounts: readonly SiteMount[]
  /** PEM of the CA with which machines check the servers, where they need one; with `plan` undefined also where it was not made yet */
  ca(purpose: 'plan' | 'write'): Promise<string | undefined>
  /** its path on the machines */
  caFile: string | undefined
  /** with `plan` neither the site's key nor its CA is created: texts that contain them are not the final ones */
  clients(purpose: 'plan' | 'write'): Promise<readonly ClientFile[]>
  /** undefined where only the servers run */
  install: SiteInstall | undefined
}

/** What the steps on machines are made of, besides. */
export interface MachineParts extends SiteParts {
  install: SiteInstall
  passwords: Passwords
  tools: SiteTools
  /** ansible's inventory */
  hosts: string
  /** below /files */
  files: TreeEntries
}

export async function siteParts(options: StepsOptions): Promise<SiteParts> {
  const { bundles, setup, state, context } = options
  const { address } = setup
  const contents = bundles.map(bundle => bundle.store)
  const store = mergedStore(contents)
  const { mirrors } = await registryView(contents, { address })
  const { now } = context
  const viewWith = (key: Signer, ca: string | undefined) =>
    httpView(contents, { address, key, site: state.id, mirrors, now, ca })
  const { tls } = setup.config
  const folder = state.paths.tls
  const ca: SiteParts['ca'] = async purpose =>
    purpose === 'plan' ? await knownCa(tls, folder) : await caForMachines(tls, { folder, now })
  const caOfPlan = tls?.by === 'site-ca' ? plannedCa : await ca('plan')
  const planned = await viewWith(plannedKey, caOfPlan)
  const charts = planned.mounts.find(({ prefix }) => prefix === '/charts')?.entries ?? new Map()
  const trees = deploymentTrees(bundles, charts)
  const makeClients = async (purpose: 'plan' | 'write') =>
    purpose === 'plan'
      ? planned.clients
      : (await viewWith(await openKey(state, now), await ca('write'))).clients
  // several steps use them, and each making signs every repository
  const made = new Map<'plan' | 'write', Promise<ClientFile[]>>()
  return {
    service: await readServiceRecord(state.paths.service),
    ...options,
    store,
    trees,
    charts,
    mirrors,
    ca,
    caFile: caFileOf(caOfPlan),
    servers: ownServers(setup.config, state),
    mounts: planned.mounts,
    registry: registryOf(address),
    httpServer: httpServerOf(address),
    install: setup.site && (await openSiteInstall(setup.site, { trees, state })),
    clients(purpose) {
      const files = made.get(purpose) ?? makeClients(purpose)
      made.set(purpose, files)
      return files
    },
  }
}

export async function machineParts(parts: SiteParts, install: SiteInstall): Promise<MachineParts> {
  const { bundles, state, context, purpose, cluster, silenceMs, registry, httpServer } = parts
  const { site } = install
  const passwords = await openPasswords(site, {
    folder: state.paths.access,
    purpose,
    sources: context,
  })
  return {
    ...parts,
    install,
    passwords,
    tools: siteTools(site, { state, passwords, silenceMs, cluster }),
    hosts: inventoryText(site, {
      servers: { registry, httpServer },
      kubeVersion: await kubeVersion(install),
    }),
    files: await treeEntries(bundles, 'files'),
  }
}

/** `plan` creates no key: it reports only which files there will be. */
const plannedKey: Signer = {
  fingerprint: '',
  publicKeyArmored: '',
  clearSign: async text => text,
  detachSign: async () => '',
}

/** In place of the site's own CA in a plan: a step's inputs must not change because the first run made it. */
const plannedCa = 'made when the servers start for the first time\n'

/** Which files of the inventory's folder were written, and what they were. */
export function inventoryRecord({ state }: Pick<MachineParts, 'state'>): string {
  return join(state.folder, 'inventory.json')
}

/** The package repositories that the bundles bring: `debs/debian-12`, `rpms/el9`, with the digests of their trees. */
export function repositoriesOf({ bundles }: MachineParts): { name: string; digests: string[] }[] {
  return bundles
    .flatMap(bundle => treesOf(bundle.store.roots()))
    .filter(({ name }) => /^(?:debs|rpms)\//.test(name))
    .map(({ name, roots }) => ({ name, digests: roots.map(root => root.digest) }))
}

/** Names of the nodes that have one of the roles. */
export function nodesWith({ install: { site } }: MachineParts, ...roles: NodeRole[]): string[] {
  return site.nodes.filter(node => roles.some(role => node.roles.includes(role))).map(({ name }) => name)
}

/** `--limit`, and which of the machines it leaves; undefined where none is set. */
export function limitTo(
  { limit, install: { site } }: MachineParts,
  machines: readonly string[],
): { pattern: string; machines: readonly string[] } | undefined {
  if (limit === undefined) return undefined
  const names = limitedNodes(site.nodes, limit).map(({ name }) => name)
  return { pattern: limit, machines: machines.filter(name => names.includes(name)) }
}

/** What decides a step that runs ansible: the folders of the tree that it uses, the inventory, and the package repositories. */
export async function ansibleInputs(parts: MachineParts, folders: readonly string[]): Promise<object> {
  const { hosts, httpServer, install } = parts
  const repositories = repositoriesOf(parts).map(({ name, digests }) => [name, digests])
  return {
    files: await folderDigest(install.folder, folders),
    hosts: digestOf(hosts),
    httpServer,
    repositories,
  }
}
