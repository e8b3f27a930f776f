import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { lockHolder } from '../core/process-lock.ts'
import { type JournalEntry, readJournal, type StepEvent } from '../install/journal.ts'
import { type PlannedStep, planSteps } from '../install/plan.ts'
import { findServers, type SiteServers } from '../install/site-servers.ts'
import type { Step } from '../install/step.ts'
import { type OverlaySummary, overlaySummary, storedBytes } from '../overlay/summary.ts'
import { mainProcess } from '../service/systemctl.ts'
import { pathsOf, type SiteState } from '../site/state.ts'
import { knownBundles } from './bundle-record.ts'
import { type Certificates, certificatesOf } from './certificates.ts'
import { type ClusterStatus, clusterStatus, knownCluster } from './cluster.ts'
import type { DeployContext } from './context.ts'
import { type SiteKeys, siteKeys } from './keys.ts'
import { openBundles } from './open-bundles.ts'
import { ownServers } from './own-servers.ts'
import { readServiceRecord, serversPaths } from './service-record.ts'
import { readServingRecord, type ServingRecord } from './serving-record.ts'
import { existingSite, type Setup, setUp } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'
import { type VerifiedContent, verifiedContent } from './site-verdicts.ts'
import { installSteps } from './steps/install-steps.ts'
import { type TrustView, trustView } from './trust-view.ts'

export interface SiteStatus {
  site: string
  bundles: BundleStatus[]
  /** the keys whose signatures the site trusts; null where it has none */
  keys: SiteKeys | null
  servers: ServersStatus
  /** the certificates of the servers */
  tls: Omit<Certificates, 'site'>
  /** the command that is changing the site now; null: none is */
  running: RunningStatus | null
  /** what was pushed to the site's registry */
  pushed: OverlaySummary & {
    /** bytes of all files, which the quota counts */
    stored: number
    /** bytes; null: none */
    quota: number | null
  }
  /** compared with the bundles; where these cannot be read, as the journal has them */
  steps: ((PlannedStep & { log?: string }) | RecordedStep)[]
  /** null where no cluster is known */
  cluster: ClusterStatus | null
}

export interface BundleStatus {
  path: string
  /** null where the bundle cannot be read, and the site does not know which one it was */
  name: string | null
  version: string | null
  digest: string | null
  /** how it came to be trusted; null where it cannot be read */
  trust: TrustView | null
  /** what the servers have verified of it; null where they never ran */
  content: VerifiedContent | null
  /** why it cannot be read: the medium was removed */
  unreadable?: AirgapError
}

export interface ServersStatus {
  running: boolean
  /** process id; null where they do not run, or systemd runs them */
  process: number | null
  /** the systemd unit that runs them; null: none */
  unit: string | null
  registry: string | null
  httpServer: string | null
  /** digests of the bundles that are served now */
  serves: string[]
  /** the processes, and what they have done; null where they do not run, or in another container */
  record: ServingRecord | null
  /** URLs of this site at which another program answers */
  strangers: string[]
}

export interface RunningStatus {
  /** process id */
  process: number
  /** the step that it started last, and when (ISO 8601); null before the first */
  step: string | null
  since: string | null
}

/** What the journal says of a step whose bundle cannot be read. */
export interface RecordedStep {
  id: string
  state: 'unknown'
  /** the last event in the journal */
  reason: StepEvent
  at: string
  log?: string
}

/**
 * What is installed and what runs; changes nothing, and needs no medium: a bundle that cannot be read is part of the status. Throws
 * FILE_NOT_FOUND where nothing was deployed yet.
 */
export async function siteStatus(options: SiteOptions, context: DeployContext): Promise<SiteStatus> {
  const { state } = await existingSite(options)
  const setup = await setUp(options)
  const entries = await readJournal(state.paths.journal, { site: state.identity })
  const found = await knownCluster(setup.site, state.paths).catch(refusal)
  const refused = found instanceof AirgapError ? found : undefined
  await using cluster = found instanceof AirgapError ? undefined : found
  const reported = cluster === undefined ? null : await clusterStatus(cluster, context.signal)
  const theirs = await serversPaths(state.paths)
  const status = {
    site: setup.siteFolder,
    keys: await siteKeys(setup.siteFolder),
    servers: await serversStatus({ paths: state.paths, servers: ownServers(setup.config, state) }, context),
    tls: await certificatesOf(setup.config, { paths: state.paths, now: context.now() }),
    running: await runningStatus(state.paths.lock, entries),
    pushed: {
      ...(await overlaySummary(theirs.overlay)),
      stored: await storedBytes(theirs.overlay),
      quota: setup.config.overlayQuota ?? null,
    },
    cluster: refused === undefined ? reported : { answers: false, nodes: [], releases: [], refused },
  }
  const expectation = { ...setup, unknown: 'refused', now: context.now() } as const
  const opened = await openBundles(setup.config.bundles, expectation).catch(outOfReach)
  const withLog = async <S extends { id: string; reason: string }>(step: S) => ({
    ...step,
    ...(await logOf(step, state.paths.logs)),
  })
  if (opened instanceof AirgapError)
    return {
      ...status,
      bundles: await unreadableBundles(setup, opened),
      steps: await Promise.all(recordedSteps(entries).map(withLog)),
    }
  await using _ = opened
  const { bundles } = opened
  const all = await installSteps({ bundles, setup, state, context, cluster, purpose: 'plan' })
  // those that run every time only check, which is done here
  const lasting = all.filter(step => !step.always)
  const checked = status.cluster?.answers ? lasting : lasting.map(withoutCluster)
  const planned = await planSteps(checked, { entries, context })
  return {
    ...status,
    bundles: await Promise.all(
      bundles.map(async ({ path, identity, trust, store }) => ({
        path,
        name: identity.name,
        version: identity.version,
        digest: identity.digest,
        trust: trustView(trust, { record: opened.record, digest: identity.digest }),
        content: await verifiedContent({ digest: identity.digest, store }, { paths: theirs }),
      })),
    ),
    steps: await Promise.all(planned.map(withLog)),
  }
}

/** The medium was removed, or it fails: the site can still be shown and undone. Any other bundle than the known one is refused. */
function outOfReach(error: unknown): AirgapError {
  if (isErrorCode(error, 'FILE_NOT_FOUND', 'PERMISSION', 'IO', 'BUNDLE_UNREADABLE')) return error
  throw error
}

/** Named by the record of what the site was set up with last, where there is one bundle only. */
async function unreadableBundles(
  { config, siteFolder }: Setup,
  reason: AirgapError,
): Promise<BundleStatus[]> {
  const [last] = (await knownBundles(siteFolder)).slice(-1)
  const identity = config.bundles.length === 1 ? last : undefined
  const content =
    identity === undefined
      ? null
      : await verifiedContent({ digest: identity.digest }, { paths: await serversPaths(pathsOf(siteFolder)) })
  return config.bundles.map(path => ({
    path,
    name: identity?.name ?? null,
    version: identity?.version ?? null,
    digest: identity?.digest ?? null,
    trust: null,
    content,
    unreadable: reason,
  }))
}

function recordedSteps(entries: readonly JournalEntry[]): RecordedStep[] {
  const last = new Map(entries.map(entry => [entry.step, entry]))
  return [...last.values()].map(({ step, event, at }) => ({ id: step, state: 'unknown', reason: event, at }))
}

async function runningStatus(lock: string, entries: readonly JournalEntry[]): Promise<RunningStatus | null> {
  const holder = await lockHolder(lock)
  if (holder === undefined) return null
  const last = entries.at(-1)
  const step = last?.event === 'started' ? last : undefined
  return { process: holder.pid, step: step?.step ?? null, since: step?.at ?? null }
}

/** A kubeconfig that is refused is part of the status. */
function refusal(error: unknown): AirgapError {
  if (error instanceof AirgapError && error.code === 'STEP_FAILED') return error
  throw error
}

async function serversStatus(
  { paths, servers }: { paths: SiteState['paths']; servers: SiteServers },
  { signal }: DeployContext,
): Promise<ServersStatus> {
  const holder = await lockHolder(paths.serveLock)
  const service = await readServiceRecord(paths.service)
  const found = await findServers(servers, signal)
  const { description } = found
  const theirs = await serversPaths(paths)
  const own = holder?.place === 'here' ? holder.pid : undefined
  const pid = service === undefined ? own : await mainProcess(`${service.name}.service`, signal)
  return {
    running: found.registry === 'ours' && found.http === 'ours',
    process: holder?.pid ?? null,
    unit: service === undefined ? null : `${service.name}.service`,
    registry: description?.registry ?? null,
    httpServer: description?.httpServer ?? null,
    serves: description?.bundles ?? [],
    record: pid === undefined ? null : ((await readServingRecord(theirs.serving, pid)) ?? null),
    strangers: (['registry', 'http'] as const).flatMap(one =>
      found[one] === 'stranger' ? servers.urls[one] : [],
    ),
  }
}

async function logOf(
  { id, reason }: { id: string; reason: string },
  folder: string,
): Promise<{ log?: string }> {
  if (!['failed', 'not finished', 'started'].includes(reason)) return {}
  const log = join(folder, `${id}.log`)
  return (await stat(log).catch(() => undefined)) === undefined ? {} : { log }
}

/** Every step that queries a cluster which does not answer would wait for it. */
function withoutCluster(step: Step): Step {
  const queries = step.id === 'kubernetes' || step.id.startsWith('app-')
  return queries ? { ...step, check: async () => 'pending' } : step
}
