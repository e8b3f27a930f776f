import { isDeepStrictEqual } from 'node:util'
import { AirgapError } from '../core/errors.ts'
import { acquireProcessLock, lockHolder } from '../core/process-lock.ts'
import { openJournal, readJournal } from '../install/journal.ts'
import { adoptKubeconfig } from '../install/kubeconfig.ts'
import { endMarked } from '../install/orphan-process.ts'
import { planSteps } from '../install/plan.ts'
import { readPlanFile, refuseChangedPlan } from '../install/plan-file.ts'
import { runSteps, type StepResult } from '../install/run.ts'
import { selectSteps } from '../install/select.ts'
import { httpServerOf, registryOf } from '../site/address.ts'
import { readSiteConfig, writeSiteConfig } from '../site/config.ts'
import { openState, pathsOf, previewState, type SiteState } from '../site/state.ts'
import { addToBundleRecord, writeBundleRecord } from './bundle-record.ts'
import { refuseChangedConfig } from './changed-config.ts'
import { clusterOf, knownCluster } from './cluster.ts'
import type { DeployContext } from './context.ts'
import { type InstallOptions, requestedPart, selectionOf } from './install-options.ts'
import { type KeepOptions, keepBundles, onOtherDisk, removeCopies } from './keep-bundles.ts'
import { type OpenBundle, type OpenBundles, openBundles } from './open-bundles.ts'
import { operatorName } from './operator.ts'
import { type InstallPlan, refuseUnfitBundles, stepsOf } from './plan.ts'
import { pinConfirmedKeys, recordAccepted } from './record-trust.ts'
import { findSite, refuseAnyPort, type Setup, setUp } from './set-up.ts'
import type { FirstKey } from './site-trust.ts'
import { type TrustAdvice, trustAdvice } from './trust-view.ts'

export interface Applied {
  site: string
  /** `host:port` */
  registry: string
  /** URL */
  httpServer: string
  steps: StepResult[]
  /** steps of this site, whatever part of them was requested */
  allSteps: number
  /** bundles on another file system than the state folder: they must stay there while the site runs */
  onMedium: string[]
  trust: TrustAdvice
  seconds: number
}

export interface ApplyRun {
  /** a saved plan: what it records is done, or nothing */
  planFile?: string | undefined
  /** shows the plan; throws where the operator does not agree. `saved`: it was reviewed before */
  approve: (plan: InstallPlan, options: { saved: boolean }) => Promise<void>
  /** before bundles are copied to the state folder; throws where the operator does not agree. Not for a saved plan, which was reviewed */
  approveCopy?: KeepOptions['approve']
}

/** Runs the steps that are pending. A run that failed or was killed is continued by the next one. Throws PLAN_CHANGED, BUSY, … */
export async function applyInstall(
  given: InstallOptions,
  outer: DeployContext,
  { planFile, approve, approveCopy }: ApplyRun,
): Promise<Applied> {
  const saved = planFile === undefined ? undefined : await readPlanFile(planFile)
  if (saved !== undefined) refuseSelection(given)
  const options = { ...given, ...saved?.asked }
  // before all that is made of it
  const { saved: configured } = await findSite(options)
  const found = await setUp(options)
  refuseAnyPort(found.config)
  const first = firstKey(outer)
  const { setup, context } = options.copyBundle
    ? await keepBundles(found, outer, {
        first,
        allowOlder: options.allowOlder,
        approve: saved === undefined ? approveCopy : undefined,
      })
    : { setup: found, context: outer }
  const { allowOlder } = options
  const expectation = { ...setup, unknown: 'opened', allowOlder, now: context.now(), first } as const
  await using opened = await openBundles(setup.config.bundles, expectation)
  const { bundles } = opened
  {
    await using cluster = await knownCluster(setup.site, pathsOf(setup.siteFolder))
    await refuseUnfitBundles({ setup, bundles, options, cluster, signal: context.signal })
  }
  // before anything is created: a saved plan is for the site as it was
  const previewed = saved && (await previewState(setup.siteFolder))
  const state = await openState(setup.siteFolder)
  await refuseBusy(state)
  await adoptKubeconfig(clusterOf(setup.site, state.paths))
  const all = await stepsOf({ setup, bundles, state, options, context, purpose: 'apply' })
  const steps = selectSteps(all, selectionOf(options))
  const entries = await readJournal(state.paths.journal, { site: state.identity })
  const planned = await planSteps(steps, { entries, context })
  if (saved !== undefined && planFile !== undefined)
    refuseChangedPlan(saved, { site: previewed!.id, steps: planned, file: planFile })
  await approve({ setup, steps: planned }, { saved: saved !== undefined })
  // not before: a question that nobody answers must not block the site
  await using _lock = await acquireProcessLock(state.paths.lock, setup.siteFolder)
  refuseChangedConfig(setup.siteFolder, {
    before: configured,
    now: await readSiteConfig(state.paths.config),
  })
  await pinConfirmedKeys(state.paths.trust, opened)
  const orphans = await endMarked(state.paths.running)
  if (orphans > 0) context.progress.note(`ended ${orphans} processes that a killed run had left behind`)
  await using journal = await openJournal(state.paths.journal, { site: state.identity })
  if (!isDeepStrictEqual(journal.entries(), entries)) throw changedMeanwhile(setup.siteFolder)
  const started = performance.now()
  const before = rememberSetup({ setup, opened, state, context, by: first.by })
  const results = await runSteps(steps, { journal, context, before: ({ id }) => before(id) }).catch(
    async (error: unknown) => {
      // the next run copies again: a damaged copy must not stay
      if (options.copyBundle && error instanceof AirgapError && error.exitCode === 6)
        await removeCopies(setup)
      throw error
    },
  )
  if (steps.length === all.length) await writeBundleRecord(state.paths.installed, identitiesOf(bundles))
  return {
    site: setup.siteFolder,
    registry: registryOf(setup.address),
    httpServer: httpServerOf(setup.address),
    steps: results,
    allSteps: all.length,
    onMedium: await onOtherDisk(setup),
    trust: trustAdvice(opened),
    seconds: (performance.now() - started) / 1000,
  }
}

/** A bundle that is copied is opened twice: a person is asked once for each key. */
function firstKey({ confirmKey, environment }: DeployContext): FirstKey {
  const answers = new Map<string, Promise<boolean>>()
  const confirm: FirstKey['confirm'] =
    confirmKey &&
    ((key, bundle) => {
      const answer = answers.get(key.fingerprint) ?? confirmKey(key, bundle)
      answers.set(key.fingerprint, answer)
      return answer
    })
  return { confirm, by: operatorName(environment) }
}

/** Before the plan is shown; the lock itself is taken once it was approved. */
async function refuseBusy({ folder, paths }: SiteState): Promise<void> {
  if ((await lockHolder(paths.lock)) !== undefined)
    await (await acquireProcessLock(paths.lock, folder)).release()
}

function changedMeanwhile(siteFolder: string): AirgapError {
  return new AirgapError('PLAN_CHANGED', 'the site was changed while the plan was shown', {
    item: siteFolder,
    likely: 'another `apply` ran in another terminal',
    next: 'run the same command again; nothing was changed by this one',
  })
}

/** Steps that change nothing of the site. */
const readOnlySteps: readonly string[] = ['preflight', 'backup']

/** The site keeps its old setup until the new bundle has passed preflight and the old state is backed up. */
function rememberSetup(run: {
  setup: Setup
  opened: OpenBundles
  state: SiteState
  context: DeployContext
  /** user name, for the record */
  by: string
}): (step: string) => Promise<void> {
  const { setup, opened, state, context, by } = run
  let remembered = false
  return async step => {
    if (remembered || readOnlySteps.includes(step)) return
    remembered = true
    await recordAccepted(state.paths.trust, opened, { now: context.now(), by })
    await writeSiteConfig(state.paths.config, setup.config)
    await addToBundleRecord(state.paths.bundles, identitiesOf(opened.bundles))
  }
}

function identitiesOf(bundles: readonly OpenBundle[]) {
  return bundles.map(({ identity }) => identity)
}

function refuseSelection(options: InstallOptions): void {
  const flags = Object.keys(requestedPart(options)).map(name => `--${name}`)
  if (flags.length === 0) return
  throw new AirgapError(
    'USAGE',
    `a saved plan already records which steps to run; remove ${flags.join(', ')}`,
    {
      item: flags.join(', '),
      next: 'remove them, or save another plan with `offline-deploy plan --out FILE`',
    },
  )
}
