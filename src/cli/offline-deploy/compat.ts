import type { Command } from 'commander'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import {
  type CarriedRules,
  type Comparison,
  carriedRules,
  compareWithRunning,
  refuseComparison,
} from '../../deploy/compatibility.ts'
import { openBundles } from '../../deploy/open-bundles.ts'
import { findBundles } from '../../deploy/set-up.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { planLines, verdictLines } from '../shell/verdicts.ts'
import { bundleOptions } from './options.ts'

interface CompatOptions extends SiteOptions {
  kubeconfig?: string
  kubectl: string
  helm: string
  root: string
}

export function compatCommand(program: Command, shell: Shell): void {
  addExamples(bundleOptions(program.command('compat')), [
    ['offline-deploy compat --bundle NEW.tar'],
    ['offline-deploy compat --kubeconfig /root/.kube/config --kubectl /usr/local/bin/kubectl'],
  ])
    .description(
      'Compare what runs here with what the bundle brings, by the rules it carries; exit 4 if one is broken',
    )
    .option('--kubeconfig <file>', 'kubeconfig of the cluster (default: as kubectl finds it)')
    .option('--kubectl <program>', 'the kubectl to run', 'kubectl')
    .option('--helm <program>', 'the helm to run', 'helm')
    .option('--root <folder>', 'root of the machine whose GPU driver is checked', '/')
    .action(async ({ kubeconfig, kubectl, helm, root, ...options }: CompatOptions) => {
      const { paths, ...site } = await findBundles(options)
      await using opened = await openBundles(paths.slice(0, 1), {
        ...site,
        unknown: 'opened',
        now: new Date(),
      })
      const [bundle] = opened.bundles
      const carried = bundle && (await carriedRules(bundle))
      if (carried === undefined)
        throw new AirgapError('USAGE', 'the bundle carries no compatibility rules', {
          item: paths[0] ?? '',
          next: 'set `compatibility:` in the manifest, then lock and build the bundle again',
        })
      const found = await compareWithRunning(carried, {
        root,
        kubectl,
        helm,
        signal: shell.signal,
        ...defined({ kubeconfig }),
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
      refuseComparison(found)
    })
}

function render(
  { rules, bundled }: CarriedRules,
  { running, unknown, verdicts, plan }: Comparison,
): string[] {
  const table = Object.entries(rules.components).map(
    ([name, { title }]) =>
      `${title.padEnd(30)} ${(running.get(name) ?? '-').padEnd(24)} ${bundled.get(name) ?? '-'}`,
  )
  return [
    `${''.padEnd(30)} ${'here'.padEnd(24)} bundle`,
    ...table,
    ...unknown.map(text => `unknown: ${text}`),
    '',
    ...verdicts.flatMap(verdictLines),
    ...(plan === undefined ? [] : ['', ...planLines(plan)]),
  ]
}
