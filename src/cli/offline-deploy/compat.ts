import type { Command } from 'commander'
import { openBundle } from '../../bundle/reader.ts'
import { checkVersions, planUpgrade, type UpgradePlan, type Verdict } from '../../compat/check.ts'
import { type Compatibility, compatibilitySchema } from '../../compat/schema.ts'
import { AirgapError } from '../../core/errors.ts'
import type { Cluster } from '../../install/kube.ts'
import { type RunningOptions, runningVersions } from '../../probe/running.ts'
import { lockInside } from '../shell/lock-inside.ts'
import type { Shell } from '../shell/run.ts'
import { planLines, refuseIncompatible, verdictLines } from '../shell/verdicts.ts'
import { locateBundles } from './locate.ts'
import { bundleOptions, type SiteOptions } from './options.ts'

interface CompatOptions extends SiteOptions {
  kubeconfig?: string
  kubectl: string
  helm: string
  root: string
}

export function compatCommand(program: Command, shell: Shell): void {
  bundleOptions(program.command('compat'))
    .description(
      'what runs here against what the bundle brings, by the rules that it carries; exit 4 where one is broken; changes nothing',
    )
    .option('--kubeconfig <file>', 'how to reach the cluster (default: as kubectl finds it)')
    .option('--kubectl <program>', 'kubectl', 'kubectl')
    .option('--helm <program>', 'helm', 'helm')
    .option('--root <folder>', 'root of the machine whose driver is looked at', '/')
    .action(async (options: CompatOptions) => {
      const [path] = (await locateBundles(options.bundle ?? [])) as [string]
      const carried = await rulesOf(path)
      if (carried === undefined) {
        throw new AirgapError('USAGE', 'the bundle carries no rules', {
          item: path,
          next: 'name them in the manifest (`compatibility:`) and build it again',
        })
      }
      const { kubeconfig, kubectl, helm, root } = options
      const found = await compare(carried, {
        ...{ root, kubectl, helm, signal: shell.signal },
        ...(kubeconfig === undefined ? {} : { kubeconfig }),
      })
      shell.print(
        {
          running: Object.fromEntries(found.running),
          bundled: Object.fromEntries(carried.bundled),
          unknown: found.unknown,
          verdicts: found.verdicts,
          upgrade: found.plan ?? null,
        },
        () => render(carried, found),
      )
      refuse(found)
    })
}

/** Before anything is changed: what the bundles bring has to go with what runs here. Nothing to say without rules. */
export async function refuseIncompatibleBundles(
  paths: readonly string[],
  options: { root: string; signal: AbortSignal; cluster?: Cluster },
): Promise<void> {
  const { cluster, ...rest } = options
  const programs =
    cluster === undefined
      ? { kubectl: 'kubectl', helm: 'helm' }
      : { kubectl: `${cluster.bin}/kubectl`, helm: `${cluster.bin}/helm`, kubeconfig: cluster.kubeconfig }
  for (const path of paths) {
    const carried = await rulesOf(path).catch(error => {
      // a bundle that is damaged is for the first step to tell, which reads all of it
      if (error instanceof AirgapError && error.code !== 'UNSUPPORTED') return undefined
      throw error
    })
    if (carried !== undefined) refuse(await compare(carried, { ...rest, ...programs }))
  }
}

/** In which order components are upgraded, by the rules of the bundles. */
export async function upgradeOrderOf(paths: readonly string[]): Promise<string[]> {
  const orders = await Promise.all(paths.map(async path => (await rulesOf(path))?.rules.upgrade.order ?? []))
  return [...new Set(orders.flat())]
}

interface Carried {
  rules: Compatibility
  /** component → version */
  bundled: Map<string, string>
}

interface Comparison {
  running: Map<string, string>
  unknown: string[]
  verdicts: Verdict[]
  /** from what runs to what the bundle brings; absent where nothing is to be changed */
  plan: UpgradePlan | undefined
}

async function compare(
  { rules, bundled }: Carried,
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

function refuse({ verdicts, plan }: Comparison): void {
  refuseIncompatible(plan ?? { broken: verdicts.filter(one => one.result === 'broken') }, {
    message: 'the bundle does not go with what runs here',
    next: '`offline-deploy compat` shows all of it; have a bundle made whose versions fit (`airgap compat --upgrade COMPONENT=VERSION` on the build host)',
  })
}

function render({ rules, bundled }: Carried, { running, unknown, verdicts, plan }: Comparison): string {
  const table = Object.entries(rules.components).map(
    ([name, { title }]) =>
      `${title.padEnd(30)} ${(running.get(name) ?? '-').padEnd(24)} ${bundled.get(name) ?? '-'}`,
  )
  return [
    `${''.padEnd(30)} ${'here'.padEnd(24)} bundle`,
    ...table,
    ...unknown.map(text => `not asked: ${text}`),
    '',
    ...verdicts.flatMap(verdictLines),
    ...(plan === undefined ? [] : ['', ...planLines(plan)]),
  ].join('\n')
}

/** Undefined where the bundle carries none, or no lock of ours. */
async function rulesOf(path: string): Promise<Carried | undefined> {
  const bundle = await openBundle(path)
  try {
    const { compatibility } = await lockInside(bundle, path)
    if (compatibility === undefined) return undefined
    const rules = compatibilitySchema.safeParse(compatibility.rules)
    if (!rules.success) {
      throw new AirgapError('UNSUPPORTED', 'the rules of the bundle cannot be read', {
        item: path,
        likely: 'it was built by another version of airgap',
        next: 'use the offline-deploy that the bundle itself carries',
      })
    }
    return { rules: rules.data, bundled: new Map(Object.entries(compatibility.versions)) }
  } finally {
    await bundle.close()
  }
}
