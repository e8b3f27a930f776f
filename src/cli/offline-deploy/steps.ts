import { treesOf } from '../../content/shards.ts'
import { readTree, type TreeEntries } from '../../content/tree.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { AirgapError } from '../../core/errors.ts'
import type { DeployContext } from '../../deploy/context.ts'
import type { OpenBundle } from '../../deploy/open-bundles.ts'
import { openPasswords } from '../../deploy/passwords.ts'
import { localUrl, type Setup } from '../../deploy/set-up.ts'
import { openKey } from '../../deploy/site-key.ts'
import { verifyOpenBundle } from '../../deploy/verify.ts'
import type { Step } from '../../install/step.ts'
import { checkStep, type SampleRequest } from '../../install/steps/check.ts'
import { configureStep } from '../../install/steps/configure.ts'
import { type DeploymentTree, layDownStep } from '../../install/steps/lay-down.ts'
import { serveStep } from '../../install/steps/serve.ts'
import { verifyStep } from '../../install/steps/verify.ts'
import { httpServerOf, registryOf } from '../../site/address.ts'
import { chartRepository } from '../../site/charts.ts'
import { type ClientFile, clientFilesDigest } from '../../site/client-files.ts'
import { mergedStore } from '../../site/content.ts'
import { filesForHost } from '../../site/host-files.ts'
import { namedRoots } from '../../site/images.ts'
import type { SiteKey } from '../../site/site-key.ts'
import { httpView, registryView } from '../../site/site-view.ts'
import type { SiteState } from '../../site/state.ts'
import { isTree, settingsOf, type ValueTree } from '../../values/set.ts'
import { sitePreflight } from './preflight.ts'
import { openSiteInstall, siteBackup, siteSteps, siteValues, siteVariables } from './site-install.ts'
import { defaultSilenceMs } from './site-tools.ts'

export interface StepsOptions {
  bundles: readonly OpenBundle[]
  setup: Setup
  state: SiteState
  context: DeployContext
  purpose: 'plan' | 'apply'
  /** of the machines, as ansible takes it */
  limit?: string | undefined
  /** how long a program may say nothing */
  silenceMs?: number
  upgrade?: { order: readonly string[] } | undefined
}

/** The steps of an install, in order. */
export async function installSteps(options: StepsOptions): Promise<Step[]> {
  const { bundles, setup, state, context, purpose } = options
  const { now, self } = context
  const { config, address } = setup
  const contents = bundles.map(bundle => bundle.store)
  const { mirrors } = await registryView(contents, { address })
  const charts = (
    await chartRepository(mergedStore(contents), { roots: chartRoots(bundles), generated: new Date(0) })
  ).entries
  const trees = deploymentTrees(bundles, charts)
  const registry = registryOf(address)
  const httpServer = httpServerOf(address)
  const install = setup.site && (await openSiteInstall(setup.site, { trees, state }))
  const more = install === undefined ? {} : siteValues(install)
  const made = new Map<'plan' | 'write', Promise<ClientFile[]>>()
  const makeClients = async (purpose: 'plan' | 'write') => {
    const key = purpose === 'plan' ? plannedKey : await openKey(state, now)
    return (await httpView(contents, { address, key, site: state.id, mirrors, now })).clients
  }
  const clients = (purpose: 'plan' | 'write') => {
    const files = made.get(purpose) ?? makeClients(purpose)
    made.set(purpose, files)
    return files
  }
  const steps = [
    verifyStep({
      bundles: bundles.map(bundle => ({
        ...bundle.file,
        verify: run => verifyOpenBundle(bundle, run),
      })),
    }),
    layDownStep({ trees, folder: state.paths.deploy }),
    serveStep({
      command: [...self, 'serve', ...serveArguments(setup, bundles)],
      expected: {
        site: state.id,
        bundles: bundles.map(bundle => bundle.store.indexDigest),
        registry,
        httpServer,
      },
      clients: async purpose => clientFilesDigest(await clients(purpose)),
      localUrl: localUrl(config),
      listens: [`${config.listen}:${config.registryPort}`, `${config.listen}:${config.httpPort}`],
      lock: state.paths.serveLock,
      log: state.paths.serveLog,
    }),
    configureStep({
      trees,
      folder: state.paths.deploy,
      environment: config.environment,
      values: settingsOf(more, { registry, httpServer }),
      sets: [
        `offline.registry = ${registry}`,
        `offline.httpServer = ${httpServer}`,
        ...leaves(more).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
      ],
      variables:
        install === undefined ? new Map() : siteVariables(install, { registry, httpServer, mirrors }),
      nodeRoot: config.nodeRoot ?? undefined,
      clients,
      selectForNode: filesForHost,
      clientsFolder: state.paths.clients,
      record: state.paths.written,
    }),
    checkStep({ requests: await probesOf(bundles, { registry, httpServer }) }),
  ]
  if (install === undefined) {
    if (options.upgrade === undefined) return steps
    throw new AirgapError('USAGE', 'there is nothing to upgrade', {
      item: state.paths.siteFile,
      likely: 'the site has no site.yaml, or the bundle no deployment tree with install.yaml',
      next: 'use apply: it brings the servers and the files up to date',
    })
  }
  const passwords = await openPasswords(install.site, {
    folder: state.paths.access,
    purpose,
    sources: context,
  })
  const forSite = {
    ...{ install, bundles, state, passwords, clients, registry, httpServer, charts },
    store: mergedStore(contents),
    index: `${localUrl(config)}/pypi/simple/`,
    limit: options.limit,
    silenceMs: options.silenceMs ?? defaultSilenceMs,
    upgrade: options.upgrade,
  }
  return [
    sitePreflight({ ...forSite, site: install.site, config }),
    ...(options.upgrade === undefined ? [] : [siteBackup(forSite)]),
    ...steps,
    ...(await siteSteps(forSite)),
  ]
}

/** `nfs.server` → value, for people */
function leaves(tree: ValueTree, above: readonly string[] = []): [string, unknown][] {
  return Object.entries(tree).flatMap(([key, value]): [string, unknown][] => {
    const path = [...above, key]
    return isTree(value) ? leaves(value, path) : [[path.join('.'), value]]
  })
}

function chartRoots(bundles: readonly OpenBundle[]): Descriptor[] {
  return bundles.flatMap(({ store }) =>
    namedRoots(store.roots()).flatMap(one => (one.kind === 'chart' ? [one.root] : [])),
  )
}

/** `plan` makes no key: it only tells which files there will be. */
const plannedKey: SiteKey = {
  fingerprint: '',
  publicKeyArmored: '',
  publicKeyBinary: new Uint8Array(),
  clearSign: async text => text,
  detachSign: async () => '',
}

/** The servers open the bundles again, by their paths: they are to serve what was verified here, and nothing else. */
function serveArguments({ config, siteFolder }: Setup, bundles: readonly OpenBundle[]): string[] {
  return [
    ...bundles.flatMap(({ path, identity }) => ['--bundle', path, '--expect', identity.digest]),
    '--site',
    siteFolder,
    '--address',
    config.address,
    '--listen',
    config.listen,
    '--registry-port',
    String(config.registryPort),
    '--http-port',
    String(config.httpPort),
    '--output',
    'json',
    '--quiet',
  ]
}

/** Charts of all bundles lie beside the applications that install them. */
export function deploymentTrees(bundles: readonly OpenBundle[], charts: TreeEntries): DeploymentTree[] {
  const store = mergedStore(bundles.map(bundle => bundle.store))
  return bundles.flatMap(bundle =>
    treesOf(bundle.store.roots()).flatMap(tree => {
      const name = /^tree\/([^/]+)$/.exec(tree.name)?.[1]
      return name === undefined ? [] : [{ name, store, roots: tree.roots, charts }]
    }),
  )
}

/** One manifest by each way a client may ask for it, and the smallest file of each tree that is served. */
async function probesOf(
  bundles: readonly OpenBundle[],
  { registry, httpServer }: { registry: string; httpServer: string },
): Promise<SampleRequest[]> {
  const probes: SampleRequest[] = []
  const roots = bundles.flatMap(bundle => bundle.store.roots())
  const image = namedRoots(roots).find(named => named.reference?.tag !== undefined && named.kind === 'image')
  if (image?.reference !== undefined) {
    const { host, repository, tag } = image.reference
    const headers = { accept: image.root.mediaType }
    const url = `http://${registry}/v2/${repository}/manifests/${tag}?ns=${encodeURIComponent(host)}`
    probes.push({ url, headers, expected: image.root })
  }
  for (const { store } of bundles) {
    for (const tree of treesOf(store.roots())) {
      if (tree.kind === 'tree' || !/^(files|debs\/[^/]+)$/.test(tree.name)) continue
      const smallest = await smallestFile(store, tree.roots)
      if (smallest === undefined) continue
      const path = smallest.path.split('/').map(encodeURIComponent).join('/')
      probes.push({ url: `${httpServer}/${tree.name}/${path}`, expected: smallest.descriptor })
    }
  }
  return probes
}

async function smallestFile(
  store: OpenBundle['store'],
  roots: readonly Descriptor[],
): Promise<{ path: string; descriptor: Descriptor } | undefined> {
  let smallest: { path: string; descriptor: Descriptor } | undefined
  for (const [path, { descriptor, mode }] of await readTree(store, roots)) {
    if (mode === '120000') continue
    if (smallest === undefined || descriptor.size < smallest.descriptor.size) smallest = { path, descriptor }
  }
  return smallest
}
