import { checkVersions, planUpgrade, type UpgradePlan, type Verdict } from '../compat/check.ts'
import { refuseIncompatible } from '../compat/refuse.ts'
import { type Compatibility, compatibilitySchema } from '../compat/schema.ts'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import type { Cluster } from '../install/kube.ts'
import { findCarriedLock } from '../lock/carried-lock.ts'
import { type RunningOptions, runningVersions } from '../probe/running.ts'
import type { OpenBundle } from './open-bundles.ts'

/** The rules of compatibility that a bundle carries in its lock. */
export interface CarriedRules {
  rules: Compatibility
  /** component → version in the bundle */
  bundled: Map<string, string>
}

/** Undefined where the bundle carries none. Throws BUNDLE_CORRUPT where they cannot be read. */
export async function carriedRules({ store, path }: OpenBundle): Promise<CarriedRules | undefined> {
  const compatibility = (await findCarriedLock(store, path))?.compatibility
  if (compatibility === undefined) return undefined
  const rules = compatibilitySchema.safeParse(compatibility.rules)
  if (!rules.success)
    throw new AirgapError('BUNDLE_CORRUPT', 'the compatibility rules of the bundle cannot be read', {
      item: path,
      likely: 'the bundle was built by another version of airgap',
      next: 'use the offline-deploy that the bundle itself carries: tar xf BUNDLE offline-deploy',
      cause: rules.error,
    })
  return { rules: rules.data, bundled: new Map(Object.entries(compatibility.versions)) }
}

/** In which order the rules of the bundles upgrade components. */
export async function upgradeOrderOf(bundles: readonly OpenBundle[]): Promise<string[]> {
  const orders = await Promise.all(
    bundles.map(async bundle => (await carriedRules(bundle))?.rules.upgrade.order ?? []),
  )
  return [...new Set(orders.flat())]
}

/** What runs here, compared with what a bundle brings. */
export interface Comparison {
  /** component → running version */
  running: Map<string, string>
  /** what could not be queried, and why */
  unknown: string[]
  verdicts: Verdict[]
  /** from what runs to what the bundle brings; undefined where nothing changes */
  plan: UpgradePlan | undefined
}

export async function compareWithRunning(
  { rules, bundled }: CarriedRules,
  options: Omit<RunningOptions, 'charts'>,
): Promise<Comparison> {
  const charts = Object.entries(rules.components).flatMap(([name, { chart }]) =>
    chart === undefined ? [] : [[name, chart] as const],
  )
  const { versions: running, unknown } = await runningVersions({ ...options, charts: new Map(charts) })
  const now = new Map([...bundled, ...running])
  const wanted = new Map(
    [...bundled].filter(([name, version]) => running.has(name) && running.get(name) !== version),
  )
  return {
    running,
    unknown,
    verdicts: checkVersions(rules, now),
    plan: wanted.size === 0 ? undefined : planUpgrade(rules, { now, wanted }),
  }
}

/** Throws INCOMPATIBLE where a rule is broken now, or would be after the upgrade. */
export function refuseComparison({ verdicts, plan }: Comparison): void {
  refuseIncompatible(plan ?? { broken: verdicts.filter(one => one.result === 'broken') }, {
    message: 'the bundle is incompatible with what runs here',
    next: '`offline-deploy compat` shows every rule; build a bundle whose versions fit (on the build host, `airgap compat --upgrade COMPONENT=VERSION` checks them)',
  })
}

/**
 * Throws INCOMPATIBLE where what the bundles bring breaks their own rules together with what runs here. A bundle without rules
 * passes. `cluster` is undefined where the site has none of its own: kubectl and helm of this host are asked then, if it has any.
 */
export async function refuseIncompatibleBundles(
  bundles: readonly OpenBundle[],
  options: { root: string; signal: AbortSignal; cluster: Cluster | undefined },
): Promise<void> {
  const { cluster, root, signal } = options
  const programs = {
    kubectl: cluster === undefined ? 'kubectl' : `${cluster.bin}/kubectl`,
    helm: cluster === undefined ? 'helm' : `${cluster.bin}/helm`,
    kubeconfig: cluster?.preview ?? cluster?.kubeconfig,
  }
  for (const bundle of bundles) {
    const carried = await carriedRules(bundle)
    if (carried === undefined) continue
    refuseComparison(await compareWithRunning(carried, { root, signal, ...defined(programs) }))
  }
}
