import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import { lockHolder } from '../core/process-lock.ts'
import { readJournal } from '../install/journal.ts'
import { type PlannedStep, planSteps } from '../install/plan.ts'
import type { Step } from '../install/step.ts'
import { querySite } from '../install/steps/serve.ts'
import { type ClusterStatus, clusterStatus, knownCluster } from './cluster.ts'
import type { DeployContext } from './context.ts'
import { openBundles } from './open-bundles.ts'
import { existingSite, localUrl, setUp } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'
import { installSteps } from './steps/install-steps.ts'

export interface SiteStatus {
  site: string
  bundles: { path: string; name: string; version: string; digest: string }[]
  servers: ServersStatus
  /** `log`: of a step that failed or did not finish */
  steps: (PlannedStep & { log?: string })[]
  /** null where no cluster is known */
  cluster: ClusterStatus | null
}

export interface ServersStatus {
  running: boolean
  /** process id */
  process: number | null
  registry: string | null
  httpServer: string | null
}

/** What is installed and what runs; changes nothing. Throws FILE_NOT_FOUND where nothing was deployed yet. */
export async function siteStatus(options: SiteOptions, context: DeployContext): Promise<SiteStatus> {
  const { state } = await existingSite(options)
  const setup = await setUp(options)
  await using opened = await openBundles(setup.config.bundles, { ...setup, unknown: 'refused' })
  const { bundles } = opened
  const found = await knownCluster(setup.site, state.paths).catch(refusal)
  const refused = found instanceof AirgapError ? found : undefined
  await using known = found instanceof AirgapError ? undefined : found
  const all = await installSteps({ bundles, setup, state, context, cluster: known, purpose: 'plan' })
  const entries = await readJournal(state.paths.journal, { site: state.identity })
  const reported = known === undefined ? null : await clusterStatus(known, context.signal)
  const cluster = refused === undefined ? reported : { answers: false, nodes: [], releases: [], refused }
  // those that run every time only check, which is done here
  const lasting = all.filter(step => !step.always)
  const checked = cluster?.answers ? lasting : lasting.map(withoutCluster)
  const planned = await planSteps(checked, { entries, context })
  const steps = planned.map(async step => ({ ...step, ...(await logOf(step, state.paths.logs)) }))
  return {
    site: setup.siteFolder,
    bundles: bundles.map(({ path, store }) => ({ path, ...store.info, digest: store.indexDigest })),
    servers: await serversStatus(
      { lock: state.paths.serveLock, url: localUrl(setup.config), site: state.id },
      context,
    ),
    steps: await Promise.all(steps),
    cluster,
  }
}

/** A kubeconfig that is refused is part of the status. */
function refusal(error: unknown): AirgapError {
  if (error instanceof AirgapError && error.code === 'STEP_FAILED') return error
  throw error
}

async function serversStatus(
  { lock, url, site }: { lock: string; url: string; site: string },
  { signal }: DeployContext,
): Promise<ServersStatus> {
  const pid = await lockHolder(lock)
  const answer = await querySite(url, signal)
  return {
    running: pid !== undefined && answer?.site === site,
    process: pid ?? null,
    registry: answer?.registry ?? null,
    httpServer: answer?.httpServer ?? null,
  }
}

async function logOf({ id, reason }: PlannedStep, folder: string): Promise<{ log?: string }> {
  if (reason !== 'failed' && reason !== 'not finished') return {}
  const log = join(folder, `${id}.log`)
  return (await stat(log).catch(() => undefined)) === undefined ? {} : { log }
}

/** Every step that queries a cluster which does not answer would wait for it. */
function withoutCluster(step: Step): Step {
  const queries = step.id === 'kubernetes' || step.id.startsWith('app-')
  return queries ? { ...step, check: async () => 'pending' } : step
}
