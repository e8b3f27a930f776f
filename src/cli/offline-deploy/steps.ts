import { verifyBundle } from '../../bundle/verify.ts'
import { readTree } from '../../content/tree.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { annotationKeys } from '../../core/media-types.ts'
import type { Step } from '../../install/step.ts'
import { checkStep, type Probe } from '../../install/steps/check.ts'
import { configureStep } from '../../install/steps/configure.ts'
import { type DeploymentTree, layDownStep } from '../../install/steps/lay-down.ts'
import { serveStep } from '../../install/steps/serve.ts'
import { verifyStep } from '../../install/steps/verify.ts'
import { httpServerOf, registryOf } from '../../site/address.ts'
import { treesOf } from '../../site/content.ts'
import { namedRoots } from '../../site/images.ts'
import { clientFilesFor } from '../../site/node-clients.ts'
import type { SiteKey } from '../../site/site-key.ts'
import { httpView, registryView } from '../../site/site-view.ts'
import type { SiteState } from '../../site/state.ts'
import { localUrl, type OpenBundle, type Setup } from './context.ts'
import { openKey } from './key.ts'

export interface StepsOptions {
  bundles: readonly OpenBundle[]
  setup: Setup
  state: SiteState
  /** program and arguments of this program, without a command */
  self: readonly string[]
  now: () => Date
}

/** The steps of an install, in order. */
export async function installSteps(options: StepsOptions): Promise<Step[]> {
  const { bundles, setup, state, self, now } = options
  const { config, address } = setup
  const contents = bundles.map(bundle => bundle.store)
  const { images } = await registryView(contents, { address })
  const trees = deploymentTrees(bundles)
  const registry = registryOf(address)
  const httpServer = httpServerOf(address)
  return [
    verifyStep({
      bundles: bundles.map(bundle => bundle.file),
      verify: (path, { progress, signal }) => verifyBundle(path, { progress, signal }),
    }),
    layDownStep({ trees, folder: state.paths.deploy }),
    serveStep({
      command: [...self, 'serve', ...serveArguments(setup)],
      expected: {
        site: state.id,
        bundles: bundles.map(bundle => bundle.store.indexDigest),
        registry,
        httpServer,
      },
      localUrl: localUrl(config),
      listens: [`${config.listen}:${config.registryPort}`, `${config.listen}:${config.httpPort}`],
      lock: state.paths.serveLock,
      log: state.paths.serveLog,
    }),
    configureStep({
      trees,
      folder: state.paths.deploy,
      environment: config.environment,
      values: { registry, httpServer },
      nodeRoot: config.nodeRoot ?? undefined,
      clients: async purpose => {
        const key = purpose === 'plan' ? plannedKey : await openKey(state, now)
        return (await httpView(contents, { address, key, site: state.id, hosts: images.hosts, now })).clients
      },
      selectForNode: clientFilesFor,
      clientsFolder: state.paths.clients,
      record: state.paths.written,
    }),
    checkStep({ probes: await probesOf(bundles, { registry, httpServer }) }),
  ]
}

/** `plan` makes no key: it only tells which files there will be. */
const plannedKey: SiteKey = {
  fingerprint: '',
  publicKeyArmored: '',
  publicKeyBinary: new Uint8Array(),
  clearSign: async text => text,
  detachSign: async () => '',
}

function serveArguments({ config, siteFolder }: Setup): string[] {
  return [
    ...config.bundles.flatMap(path => ['--bundle', path]),
    ...['--site', siteFolder, '--address', config.address, '--listen', config.listen],
    ...['--registry-port', String(config.registryPort), '--http-port', String(config.httpPort)],
    ...['--output', 'json', '--quiet'],
  ]
}

function deploymentTrees(bundles: readonly OpenBundle[]): DeploymentTree[] {
  return bundles.flatMap(({ store }) =>
    treesOf(store.roots()).flatMap(tree => {
      const name = /^tree\/([^/]+)$/.exec(tree.name)?.[1]
      return name === undefined ? [] : [{ name, store, roots: tree.roots }]
    }),
  )
}

/** One manifest by each way a client may ask for it, and the smallest file of each tree that is served. */
async function probesOf(
  bundles: readonly OpenBundle[],
  { registry, httpServer }: { registry: string; httpServer: string },
): Promise<Probe[]> {
  const probes: Probe[] = []
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
      if (
        tree.roots[0]?.annotations?.[annotationKeys.kind] === 'tree' ||
        !/^(files|debs\/[^/]+)$/.test(tree.name)
      )
        continue
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
