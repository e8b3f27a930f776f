import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { walkGraph } from '../../bundle/graph.ts'
import { treesOf } from '../../content/shards.ts'
import { readTree, type TreeEntries } from '../../content/tree.ts'
import { AirgapError } from '../../core/errors.ts'
import { parsePlatform } from '../../core/platform.ts'
import { lockHolder } from '../../core/process-lock.ts'
import { type OpenBundle, openBundles } from '../../deploy/open-bundles.ts'
import { openPasswords, type Passwords } from '../../deploy/passwords.ts'
import { setUp } from '../../deploy/set-up.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { findingLines } from '../../install/preflight/finding.ts'
import { type PreflightReport, preflight } from '../../install/preflight/index.ts'
import { limitedNodes } from '../../install/preflight/limit.ts'
import type { Expected } from '../../install/preflight/rules.ts'
import type { Step } from '../../install/step.ts'
import { preflightStep } from '../../install/steps/preflight.ts'
import type { SiteFile } from '../../inventory/schema.ts'
import { findCarriedLock } from '../../lock/carried-lock.ts'
import type { SiteConfig } from '../../site/config.ts'
import { mergedStore } from '../../site/content.ts'
import { namedRoots } from '../../site/images.ts'
import { previewState, type SiteState } from '../../site/state.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { deployContext } from './context.ts'
import { bundleOptions, configureOptions, serverOptions } from './options.ts'
import { openSiteInstall, type SiteInstall, variableOf } from './site-install.ts'

export interface PreflightCommandOptions extends SiteOptions {
  limit?: string
  about?: 'all' | 'machines'
}

export function preflightCommand(program: Command, shell: Shell): void {
  configureOptions(serverOptions(bundleOptions(program.command('preflight'))))
    .description(
      'looks at this host and every machine of site.yaml before an install; exit 7 where it cannot work',
    )
    .option('--limit <hosts>', 'only these machines, as ansible takes it: names with commas, a group')
    .action(async (options: PreflightCommandOptions) => {
      const report = await lookAtSite(options, shell)
      print(report, shell)
    })
}

/** The machines alone; where this host's servers will be does not matter. */
export async function nodesCheck(options: PreflightCommandOptions, shell: Shell): Promise<void> {
  const { machines, findings } = await lookAtSite(
    { address: '127.0.0.1', ...options, about: 'machines' },
    shell,
  )
  print({ machines, findings }, shell)
}

function print(
  report: Pick<PreflightReport, 'machines' | 'findings'> & Partial<PreflightReport>,
  shell: Shell,
): void {
  const { findings } = report
  const errors = findings.filter(({ level }) => level === 'error')
  shell.print(report, () => reportText(report))
  if (errors.length === 0) return
  throw new AirgapError('PREFLIGHT', `${errors.length} findings keep the install from working`, {
    item: [...new Set(errors.map(({ machine }) => machine))].slice(0, 20).join(', '),
    next: 'correct them and run the same command again; nothing was changed',
  })
}

async function lookAtSite(options: PreflightCommandOptions, shell: Shell): Promise<PreflightReport> {
  const setup = await setUp(options)
  const state = await previewState(setup.siteFolder)
  const { site } = setup
  if (site === undefined)
    throw new AirgapError('FILE_NOT_FOUND', 'this site has no site.yaml', {
      item: state.paths.siteFile,
      likely: 'another state folder was used: --site',
      next: '`offline-deploy init` writes one',
    })
  const { signal } = shell
  await using opened = await openBundles(setup.config.bundles, { ...setup, unknown: 'opened' })
  const { bundles } = opened
  {
    const { deploymentTrees } = await import('./steps.ts')
    const install = await openSiteInstall(site, { trees: deploymentTrees(bundles, new Map()), state })
    const passwords = await openPasswords(site, {
      folder: state.paths.access,
      purpose: 'apply',
      sources: deployContext(shell),
    })
    const { config } = setup
    return await look({
      ...{ site, config, state, bundles, install, passwords, signal },
      limit: options.limit,
    })
  }
}

export interface SitePreflight {
  site: SiteFile
  config: SiteConfig
  state: SiteState
  bundles: readonly OpenBundle[]
  install: SiteInstall | undefined
  passwords: Passwords
  limit: string | undefined
}

/** The first step of an install on machines. */
export function sitePreflight(options: SitePreflight): Step {
  const nodes = limitedNodes(options.site.nodes, options.limit)
  return preflightStep({
    machines: nodes.map(({ name }) => name),
    look: async signal => (await look({ ...options, signal })).findings,
  })
}

async function look(
  options: SitePreflight & { signal: AbortSignal; about?: PreflightCommandOptions['about'] },
): Promise<PreflightReport> {
  const { site, config, state, bundles, install, passwords, signal } = options
  const nodes = limitedNodes(site.nodes, options.limit)
  const { deployment } = install ?? {}
  const files = await entriesOf(bundles, 'files')
  return await preflight({
    nodes,
    access: { ssh: site.ssh, knownHosts: state.paths.knownHosts, passwords },
    expected: {
      ...(await carriedBy(bundles)),
      kubernetes: site.switches.kubernetes && deployment?.kubespray !== undefined,
      gpuDriver: site.switches.gpuDriver && deployment?.playbooks.gpuDriver !== undefined,
      driverBranch:
        install &&
        (await variableOf(install, 'nvidia_driver_branch', {
          groups: ['gpu_node', 'all'],
          playbook: install.deployment.playbooks.gpuDriver,
        })),
      fileBytes: sizeOf(files),
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
      serving: (await lockHolder(state.paths.serveLock)) !== undefined,
    },
    signal,
    ...(options.about === undefined ? {} : { about: options.about }),
  })
}

type Carried = Pick<Expected, 'repositories' | 'architectures' | 'imageBytes' | 'packageBytes'>

async function carriedBy(bundles: readonly OpenBundle[]): Promise<Carried> {
  const store = mergedStore(bundles.map(bundle => bundle.store))
  const roots = bundles.flatMap(bundle => bundle.store.roots())
  const packageBytes = new Map<string, number>()
  for (const { name, roots: shards } of bundles.flatMap(bundle => treesOf(bundle.store.roots()))) {
    const repository = /^(?:debs|rpms)\/([^/]+)$/.exec(name)?.[1]
    if (repository === undefined) continue
    const size = sizeOf(await readTree(store, shards))
    packageBytes.set(repository, (packageBytes.get(repository) ?? 0) + size)
  }
  const images = namedRoots(roots).flatMap(({ kind, root }) => (kind === 'image' ? [root] : []))
  const { reached } = await walkGraph(store, images)
  const bytes = [...reached.values()].reduce((sum, { size }) => sum + size, 0)
  const architectures = await architecturesOf(bundles)
  return {
    repositories: [...packageBytes.keys()].sort(),
    packageBytes,
    architectures,
    // a machine has one platform of each
    imageBytes: Math.ceil(bytes / Math.max(architectures?.length ?? 1, 1)),
  }
}

/** Undefined where a bundle does not say. */
async function architecturesOf(bundles: readonly OpenBundle[]): Promise<string[] | undefined> {
  const found = new Set<string>()
  for (const { store, path } of bundles) {
    const lock = await findCarriedLock(store, path)
    if (lock === undefined) return undefined
    for (const platform of lock.platforms) found.add(parsePlatform(platform).architecture)
  }
  return [...found]
}

async function entriesOf(bundles: readonly OpenBundle[], name: string): Promise<TreeEntries> {
  const store = mergedStore(bundles.map(bundle => bundle.store))
  const all: TreeEntries = new Map()
  for (const bundle of bundles)
    for (const tree of treesOf(bundle.store.roots()))
      if (tree.name === name)
        for (const [path, entry] of await readTree(store, tree.roots)) all.set(path, entry)
  return all
}

function sizeOf(entries: TreeEntries): number {
  const sizes = new Map([...entries.values()].map(({ descriptor }) => [descriptor.digest, descriptor.size]))
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

/** A virtual environment with ansible, and programs that are unpacked. */
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

function reportText({ machines, findings }: Pick<PreflightReport, 'machines' | 'findings'>): string {
  const head = ['machine', 'address', 'system', 'kernel', 'cpus', 'memory', 'free in /', 'gpus']
  const rows = machines.map(({ name, address, facts }) =>
    facts === undefined
      ? [name, address, 'no answer']
      : [
          ...[name, address, facts.osName ?? '-', facts.kernel ?? '-', String(facts.cpus ?? '-')],
          facts.memory === undefined ? '-' : humanBytes(facts.memory),
          facts.disks.root === undefined ? '-' : humanBytes(facts.disks.root.free),
          String(facts.nvidia ?? '-'),
        ],
  )
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map(row => row[i]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  const told = (level: 'error' | 'warning') =>
    findingLines(findings.filter(one => one.level === level)).map(text => `${level.padEnd(8)} ${text}`)
  const lines = [...told('error'), ...told('warning')]
  return [
    ...[head, ...rows].map(line),
    '',
    ...(lines.length === 0 ? ['nothing found that would stop the install'] : lines),
  ].join('\n')
}
