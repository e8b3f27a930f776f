import type { Command } from 'commander'
import { openBundle } from '../../bundle/reader.ts'
import { checkVersions, planUpgrade } from '../../compat/check.ts'
import { compatibilitySchema } from '../../compat/schema.ts'
import { AirgapError } from '../../core/errors.ts'
import { runningVersions } from '../../probe/running.ts'
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
      const { rules, bundled } = await rulesOf(path)
      const charts = Object.entries(rules.components).flatMap(([name, { chart }]) =>
        chart === undefined ? [] : [[name, chart] as const],
      )
      const { versions: running, unknown } = await runningVersions({
        ...{ root: options.root, kubectl: options.kubectl, helm: options.helm, signal: shell.signal },
        ...(options.kubeconfig === undefined ? {} : { kubeconfig: options.kubeconfig }),
        charts: new Map(charts),
      })
      const now = new Map([...bundled, ...running])
      const verdicts = checkVersions(rules, now)
      const wanted = new Map(
        [...bundled].filter(([name, version]) => running.has(name) && running.get(name) !== version),
      )
      const plan = wanted.size === 0 ? undefined : planUpgrade(rules, { now, wanted })
      const table = Object.entries(rules.components).map(
        ([name, { title }]) =>
          `${title.padEnd(30)} ${(running.get(name) ?? '-').padEnd(24)} ${bundled.get(name) ?? '-'}`,
      )
      shell.print(
        {
          running: Object.fromEntries(running),
          bundled: Object.fromEntries(bundled),
          unknown,
          verdicts,
          upgrade: plan ?? null,
        },
        () =>
          [
            `${''.padEnd(30)} ${'here'.padEnd(24)} bundle`,
            ...table,
            ...unknown.map(text => `not asked: ${text}`),
            '',
            ...verdicts.flatMap(verdictLines),
            ...(plan === undefined ? [] : ['', ...planLines(plan)]),
          ].join('\n'),
      )
      const broken = plan?.broken ?? verdicts.filter(one => one.result === 'broken')
      refuseIncompatible(
        { broken, ...(plan === undefined ? {} : { forbidden: plan.forbidden }) },
        {
          message: 'the bundle does not go with what runs here',
          next: 'have a bundle made whose versions fit: `airgap compat --upgrade COMPONENT=VERSION` on the build host tells what it needs',
        },
      )
    })
}

async function rulesOf(path: string) {
  const bundle = await openBundle(path)
  try {
    const { compatibility } = await lockInside(bundle, path)
    if (compatibility === undefined) {
      throw new AirgapError('USAGE', 'the bundle carries no rules', {
        item: path,
        next: 'name them in the manifest (`compatibility:`) and build it again',
      })
    }
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
