import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { TreeEntries } from '../content/tree.ts'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { type PreflightReport, preflight } from '../install/preflight/index.ts'
import { limitedNodes } from '../install/preflight/limit.ts'
import { findServers } from '../install/site-servers.ts'
import type { SiteFile } from '../inventory/schema.ts'
import type { SiteConfig } from '../site/config.ts'
import { previewState, type SiteState } from '../site/state.ts'
import { deploymentTrees, treeEntries } from './bundle-trees.ts'
import { carriedContent, sizeOf } from './carried-content.ts'
import { certificateFindings, certificatesOf } from './certificates.ts'
import type { DeployContext } from './context.ts'
import { type OpenBundle, openBundles } from './open-bundles.ts'
import { ownServers } from './own-servers.ts'
import { openPasswords, type Passwords } from './passwords.ts'
import { serversPaths } from './service-record.ts'
import { setUp } from './set-up.ts'
import { openSiteInstall, type SiteInstall, variableOf } from './site-install.ts'
import type { SiteOptions } from './site-options.ts'
import { certificateValidity } from './site-tls.ts'

export interface PreflightOptions extends SiteOptions {
  /** of the machines, as ansible takes it */
  limit?: string
  /** `machines`: of this host only what keeps it from reaching them */
  about?: 'all' | 'machines'
}

/** Examines this host and every machine of site.yaml; changes nothing there. Throws FILE_NOT_FOUND without a site.yaml. */
export async function preflightSite(
  options: PreflightOptions,
  context: DeployContext,
): Promise<PreflightReport> {
  const setup = await setUp(options)
  const { config, site } = setup
  const state = await previewState(setup.siteFolder)
  if (site === undefined)
    throw new AirgapError('FILE_NOT_FOUND', 'this site has no site.yaml', {
      item: state.paths.siteFile,
      likely: 'the site has another state folder',
      next: 'name it with --site, or write site.yaml with `offline-deploy init`',
    })
  await using opened = await openBundles(config.bundles, { ...setup, unknown: 'opened', now: context.now() })
  const { bundles } = opened
  const install = await openSiteInstall(site, { trees: deploymentTrees(bundles, new Map()), state })
  const passwords = await openPasswords(site, {
    folder: state.paths.access,
    purpose: 'apply',
    sources: context,
  })
  const { limit, about } = options
  return await examine(
    { site, config, state, bundles, install, passwords, limit },
    { signal: context.signal, now: context.now, about },
  )
}

/** What an examination of a site needs. */
export interface Examined {
  site: SiteFile
  config: SiteConfig
  state: SiteState
  bundles: readonly OpenBundle[]
  install: SiteInstall | undefined
  passwords: Passwords
  limit: string | undefined
}

export async function examine(
  examined: Examined,
  { signal, now, about }: { signal: AbortSignal; now: () => Date; about?: PreflightOptions['about'] },
): Promise<PreflightReport> {
  const { site, config, state, bundles, install, passwords, limit } = examined
  const { deployment } = install ?? {}
  const files = await treeEntries(bundles, 'files')
  const running = await findServers(ownServers(config, state), signal)
  const certificates = await certificatesOf(config, { paths: state.paths, now: now() })
  const report = await preflight({
    nodes: limitedNodes(site.nodes, limit),
    access: { ssh: site.ssh, knownHosts: state.paths.knownHosts, passwords },
    expected: {
      ...(await carriedContent(bundles)),
      kubernetes: site.switches.kubernetes && deployment?.kubespray !== undefined,
      gpuDriver: site.switches.gpuDriver && deployment?.playbooks.gpuDriver !== undefined,
      driverBranch: install && (await driverBranchOf(install)),
      fileBytes: sizeOf(files),
      siteHost: config.address,
      certificate: await certificateValidity(config.tls, (await serversPaths(state.paths)).tls),
      podMachines: site.nodes.filter(
        ({ roles }) => roles.includes('worker') || roles.includes('control-plane'),
      ).length,
    },
    host: {
      folder: state.folder,
      needed: await roomForTools(state, { install, files }),
      pythons: deployment?.python?.versions,
      sshPassword: passwords.ssh !== undefined,
      privateKey: site.ssh.privateKey,
      listen: config.listen,
      ports: [config.registryPort, config.httpPort],
      serving: [
        ...(running.registry === 'ours' ? [config.registryPort] : []),
        ...(running.http === 'ours' ? [config.httpPort] : []),
      ],
    },
    signal,
    ...defined({ about }),
  })
  return { ...report, findings: [...certificateFindings(certificates), ...report.findings] }
}

/** The branch of the NVIDIA driver that the tree's playbook installs. */
async function driverBranchOf(install: SiteInstall): Promise<string | undefined> {
  const playbook = install.deployment.playbooks.gpuDriver
  return await variableOf(install, 'nvidia_driver_branch', { groups: ['gpu_node', 'all'], playbook })
}

/** Bytes that a virtual environment with ansible and the unpacked programs still take on this host. */
async function roomForTools(
  state: SiteState,
  { install, files }: { install: SiteInstall | undefined; files: TreeEntries },
): Promise<number> {
  const complete = await stat(join(state.paths.tools, 'complete.json')).catch(() => undefined)
  if (complete !== undefined || install === undefined) return 0
  const { tools, kubespray, python } = install.deployment
  const wanted = [...Object.values(tools).map(({ file }) => file), kubespray?.archive]
  const packed = wanted.reduce((sum, path) => sum + (files.get(path ?? '')?.descriptor.size ?? 0), 0)
  return (python === undefined ? 0 : 1.5 * 2 ** 30) + 3 * packed
}
