import { defined } from '../../core/defined.ts'
import type { Step } from '../../install/step.ts'
import { checkStep } from '../../install/steps/check.ts'
import { configureStep } from '../../install/steps/configure.ts'
import { layDownStep } from '../../install/steps/lay-down.ts'
import { serveStep } from '../../install/steps/serve.ts'
import { verifyStep } from '../../install/steps/verify.ts'
import { registryUrlOf } from '../../site/address.ts'
import { clientFilesDigest } from '../../site/client-files.ts'
import type { SiteConfig } from '../../site/config.ts'
import { filesForHost } from '../../site/host-files.ts'
import { namedRoots } from '../../site/images.ts'
import { httpRequests, registryRequests } from '../../site/sample-requests.ts'
import { settingsOf } from '../../values/set.ts'
import { takingFrom, withoutStrangersAt } from '../own-servers.ts'
import { reloadServers } from '../reload-servers.ts'
import { startService, updateService } from '../service-start.ts'
import { siteValues, siteVariables } from '../site-values.ts'
import { verifyOpenBundle } from '../verify.ts'
import type { SiteParts } from './parts.ts'

/** The steps of every site: the bundle is verified, laid down, served, and this host and the values files use the servers. */
export function serverSteps(parts: SiteParts): Step[] {
  return [
    verify(parts),
    layDownStep({ trees: parts.trees, folder: parts.state.paths.deploy }),
    serve(parts),
    configure(parts),
    check(parts),
  ]
}

function check({ bundles, mounts, httpServer, servers, setup: { address } }: SiteParts): Step {
  const named = namedRoots(bundles.flatMap(({ store }) => store.roots()))
  const step = checkStep({
    requests: [...registryRequests(named, registryUrlOf(address)), ...httpRequests(mounts, httpServer)],
    ca: servers.ca,
  })
  // first here, then at the address that the machines use
  return takingFrom(servers, withoutStrangersAt(address, { servers, step }))
}

function verify({ bundles, state, context }: SiteParts): Step {
  return verifyStep({
    bundles: bundles.map(bundle => ({
      ...bundle.file,
      verify: run => verifyOpenBundle(bundle, { ...run, paths: state.paths, now: context.now }),
    })),
  })
}

function serve(parts: SiteParts): Step {
  const { bundles, setup, state, context, registry, httpServer, clients, servers, service } = parts
  const { config } = setup
  const digests = bundles.map(({ identity }) => identity.digest)
  const installed = service && { setup, digests, name: service.name }
  const runOf = (signal: AbortSignal) => ({ self: context.self, signal })
  return serveStep({
    command: [...context.self, 'serve', ...serveArguments(parts)],
    expected: {
      site: state.id,
      bundles: digests,
      registry,
      httpServer,
    },
    clients: async purpose => clientFilesDigest(await clients(purpose)),
    servers,
    verify: config.verify,
    listens: [`${config.listen}:${config.registryPort}`, `${config.listen}:${config.httpPort}`],
    async reload(signal) {
      if (installed === undefined) return (await reloadServers(state.paths, signal)).servers
      return (await updateService(installed, runOf(signal))).servers
    },
    lock: state.paths.serveLock,
    log: state.paths.serveLog,
    ...defined({
      service: installed && {
        unit: `${installed.name}.service`,
        restart: (signal: AbortSignal) => startService(installed, runOf(signal)),
      },
    }),
  })
}

/** The servers open the bundles again, by their paths: they are to serve what was verified here, and nothing else. */
function serveArguments({ setup, bundles, state }: SiteParts): string[] {
  const { config, siteFolder } = setup
  return [
    ...bundles.flatMap(({ path, identity }) => ['--bundle', path, '--expect', identity.digest]),
    '--site',
    siteFolder,
    '--address',
    config.address,
    '--listen',
    config.listen,
    '--verify',
    config.verify,
    ...tlsArguments(config),
    config.requireLogin ? '--require-login' : '--no-require-login',
    '--registry-port',
    String(config.registryPort),
    '--http-port',
    String(config.httpPort),
    ...(config.overlayQuota === undefined ? [] : ['--overlay-quota', String(config.overlayQuota)]),
    '--log-file',
    state.paths.serveLog,
    '--output',
    'json',
    '--quiet',
  ]
}

function tlsArguments({ tls }: SiteConfig): string[] {
  if (tls === null) return ['--plain-http']
  if (tls.by === 'site-ca') return ['--tls']
  const files = ['--tls-cert', tls.certificate, '--tls-key', tls.key]
  return tls.ca === undefined ? files : [...files, '--tls-ca', tls.ca]
}

function configure(parts: SiteParts): Step {
  const { trees, setup, state, install, registry, httpServer, clients, ca } = parts
  const values = install === undefined ? {} : siteValues(install)
  return configureStep({
    trees,
    folder: state.paths.deploy,
    environment: setup.config.environment,
    values: settingsOf(values, { registry, httpServer }),
    variables: install === undefined ? new Map() : siteVariables(install, parts),
    nodeRoot: setup.config.nodeRoot ?? undefined,
    clients,
    ca,
    selectForNode: filesForHost,
    clientsFolder: state.paths.clients,
    record: state.paths.written,
  })
}
