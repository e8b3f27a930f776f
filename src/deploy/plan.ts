import { defined } from '../core/defined.ts'
import { readJournal } from '../install/journal.ts'
import type { Cluster } from '../install/kube.ts'
import { type PlannedStep, planSteps } from '../install/plan.ts'
import { writePlanFile } from '../install/plan-file.ts'
import { selectSteps } from '../install/select.ts'
import type { Step } from '../install/step.ts'
import { pathsOf, previewState, type SiteState } from '../site/state.ts'
import { knownCluster } from './cluster.ts'
import { refuseIncompatibleBundles, upgradeOrderOf } from './compatibility.ts'
import type { DeployContext } from './context.ts'
import { type InstallOptions, requestedPart, selectionOf } from './install-options.ts'
import { type OpenBundle, openBundles } from './open-bundles.ts'
import { refuseAnyPort, type Setup, setUp } from './set-up.ts'
import { installSteps } from './steps/install-steps.ts'
import { refuseOtherVersions } from './version-change.ts'

/** What `apply` would do: steps, files, commands, hosts. */
export interface InstallPlan {
  setup: Setup
  steps: PlannedStep[]
}

/** Changes nothing. `out`: saves the plan to this file, for `apply FILE`. */
export async function planInstall(
  options: InstallOptions & { out?: string },
  context: DeployContext,
): Promise<InstallPlan> {
  const setup = await setUp(options)
  refuseAnyPort(setup.config)
  await using opened = await openBundles(setup.config.bundles, {
    ...setup,
    unknown: 'opened',
    allowOlder: options.allowOlder,
    now: context.now(),
  })
  const { bundles } = opened
  const state = await previewState(setup.siteFolder)
  await using cluster = await knownCluster(setup.site, state.paths)
  await refuseUnfitBundles({ setup, bundles, options, cluster, signal: context.signal })
  const all = await stepsOf({ setup, bundles, state, options, context, cluster, purpose: 'plan' })
  const entries = await readJournal(state.paths.journal, { site: state.identity })
  const steps = await planSteps(selectSteps(all, selectionOf(options)), { entries, context })
  if (options.out !== undefined)
    await writePlanFile(options.out, { site: state.id, asked: requestedPart(options), steps })
  return { setup, steps }
}

/** Throws INCOMPATIBLE before anything is changed: for broken rules, and for a version that the operator did not request. */
export async function refuseUnfitBundles(run: {
  setup: Setup
  bundles: readonly OpenBundle[]
  options: InstallOptions
  cluster: Cluster | undefined
  signal: AbortSignal
}): Promise<void> {
  const { setup, bundles, options, cluster, signal } = run
  const { config, site, siteFolder } = setup
  await refuseIncompatibleBundles(bundles, { root: config.nodeRoot ?? '/', cluster, signal })
  await refuseOtherVersions(bundles, {
    record: pathsOf(siteFolder).installed,
    machines: site !== undefined,
    upgrade: options.upgrade ?? false,
    allowOlder: options.allowOlder ?? false,
  })
}

/** All steps of this site, whatever part of them is requested. */
export async function stepsOf(run: {
  setup: Setup
  bundles: readonly OpenBundle[]
  state: SiteState
  options: InstallOptions
  context: DeployContext
  /** in place of the one of the site's state, for a plan */
  cluster?: Cluster | undefined
  purpose: 'plan' | 'apply'
}): Promise<Step[]> {
  const { options, ...rest } = run
  const { limit, silence, upgrade } = options
  return await installSteps({
    ...rest,
    ...defined({
      limit,
      silenceMs: silence === undefined ? undefined : silence * 60_000,
      upgrade: upgrade ? { order: await upgradeOrderOf(run.bundles) } : undefined,
    }),
  })
}
