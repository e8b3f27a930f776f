import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import { acquireProcessLock } from '../core/process-lock.ts'
import { openJournal } from '../install/journal.ts'
import { adoptKubeconfig } from '../install/kubeconfig.ts'
import { endMarked } from '../install/orphan-process.ts'
import { findServers, refuseStrangers } from '../install/site-servers.ts'
import { openState } from '../site/state.ts'
import { deploymentTrees } from './bundle-trees.ts'
import type { DeployContext } from './context.ts'
import { openBundles } from './open-bundles.ts'
import { ownServers } from './own-servers.ts'
import { openPasswords } from './passwords.ts'
import { setUp } from './set-up.ts'
import { openSiteInstall, type SiteInstall } from './site-install.ts'
import type { SiteOptions } from './site-options.ts'
import { type SiteTools, siteTools } from './site-tools.ts'

/** A site on which something was installed, as the commands that change its cluster need it. */
export interface InstalledSite {
  install: SiteInstall
  tools: SiteTools
  /** makes the journal forget that a step was done */
  undone(step: string): Promise<void>
}

/** One change of a cluster outside the steps of apply. */
export interface ClusterChange<Result extends object> {
  /** what will be done: `remove harbor from the cluster`. Throws where it cannot be */
  describe(site: InstalledSite): string
  /** whether it is about releases in a cluster, which must exist then */
  releases: boolean
  /** whether nodes may pull images for it: then no other program may answer on the site's ports */
  pulls: boolean
  run(site: InstalledSite, context: DeployContext): Promise<Result>
}

export type Changed<Result> = { would: string } | { site: string; done: string; result: Result }

/**
 * Runs one change. `confirm` throws where the operator does not agree; with `dryRun` only the description is returned. Throws USAGE
 * without a site.yaml, FILE_NOT_FOUND where nothing was installed yet, BUSY.
 */
export async function changeCluster<Result extends object>(
  options: SiteOptions,
  context: DeployContext,
  run: {
    change: ClusterChange<Result>
    dryRun: boolean
    confirm: (what: string, options: { environment: string }) => Promise<void>
  },
): Promise<Changed<Result>> {
  const { change, dryRun, confirm } = run
  const setup = await setUp(options)
  const { site, siteFolder, config } = setup
  if (site === undefined)
    throw new AirgapError('USAGE', 'this site has no site.yaml', {
      item: siteFolder,
      likely: 'only the servers were set up here: nothing is installed on machines',
      next: 'name the state folder of the site with --site',
    })
  await using opened = await openBundles(config.bundles, { ...setup, unknown: 'refused', now: context.now() })
  const state = await openState(siteFolder)
  await using _lock = await acquireProcessLock(state.paths.lock, siteFolder)
  await using journal = await openJournal(state.paths.journal, { site: state.identity })
  await endMarked(state.paths.running)
  const trees = deploymentTrees(opened.bundles, new Map())
  const install = await openSiteInstall(site, { trees, state })
  if (install === undefined) throw nothingInstalled(siteFolder, siteFolder)
  const passwords = await openPasswords(site, {
    folder: state.paths.access,
    purpose: dryRun ? 'plan' : 'apply',
    sources: context,
  })
  const installed: InstalledSite = {
    install,
    tools: siteTools(site, { state, passwords }),
    async undone(step) {
      const last = journal.last(step)
      if (last !== undefined)
        await journal.record({ step, key: last.key, event: 'undone', at: context.now().toISOString() })
    },
  }
  const what = change.describe(installed)
  if (dryRun) return { would: what }
  const { tools } = installed
  if (change.releases) await adoptKubeconfig(tools.cluster)
  for (const path of [tools.paths.bin, ...(change.releases ? [tools.cluster.kubeconfig] : [])])
    if ((await stat(path).catch(() => undefined)) === undefined) throw nothingInstalled(siteFolder, path)
  await confirm(what, { environment: site.environment })
  if (change.pulls) {
    const servers = ownServers(config, state)
    refuseStrangers(await findServers(servers, context.signal), servers)
  }
  return { site: siteFolder, done: what, result: await change.run(installed, context) }
}

/** Applications of the deployment tree by name, in the order of installation; all of them where none is named. Throws USAGE. */
export function applicationsOf({ install }: InstalledSite, names: readonly string[]): string[] {
  // one that was switched off after it was installed is still there
  const all = install.deployment.applications?.order ?? []
  return names.length === 0 ? all : selected(names, { from: all, what: 'application' })
}

/** How helmfile is run for one application. */
export function applicationOf({ install, tools }: InstalledSite, name: string) {
  const { site, deployment, folder } = install
  return {
    name,
    cluster: tools.cluster,
    environment: site.environment,
    program: tools.program,
    helmfile: join(folder, deployment.applications?.helmfile ?? ''),
  }
}

/** Those of `from` that are named, in its order. Throws USAGE for a name that is not in it. */
export function selected(
  names: readonly string[],
  { from, what }: { from: readonly string[]; what: string },
): string[] {
  const unknown = names.find(name => !from.includes(name))
  if (unknown === undefined) return from.filter(name => names.includes(name))
  throw new AirgapError('USAGE', `this site has no ${what} of that name`, {
    item: unknown,
    likely: `it has ${from.join(', ')}`,
    next: 'name one of them',
  })
}

function nothingInstalled(siteFolder: string, path: string): AirgapError {
  return new AirgapError('FILE_NOT_FOUND', `nothing has been installed from ${siteFolder} yet`, {
    item: path,
    likely: 'the site uses another state folder, or apply has not reached this point',
    next: 'pass it with --site, or run `offline-deploy apply` first',
  })
}
