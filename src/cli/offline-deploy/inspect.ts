import type { Command } from 'commander'
import { withBundles } from '../../deploy/inspect.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { addExamples } from '../shell/examples.ts'
import { inspectLock, sectionWords } from '../shell/inspect-sections.ts'
import { readLayers } from '../shell/read-layers.ts'
import type { Shell } from '../shell/run.ts'
import { bundleOptions } from './options.ts'

export function inspectCommand(program: Command, shell: Shell): void {
  addExamples(bundleOptions(program.command('inspect')), [
    ['offline-deploy inspect images --match calico'],
    ['offline-deploy inspect sbom --layers > sbom.cdx.json', 'what is inside, for the security officer'],
  ])
    .description('Show what is inside the bundle')
    .argument('[what]', sectionWords())
    .argument('[name]', 'with why: a package, image, chart or file')
    .option('--match <text>', 'only names that contain this')
    .option('--layers', 'with sbom or spdx: also list the packages inside the layers of images')
    .action(
      async (
        what: string | undefined,
        name: string | undefined,
        { match, layers = false, ...options }: SiteOptions & { match?: string; layers?: boolean },
      ) => {
        const shown = await withBundles({ ...options, now: new Date() }, async bundles => {
          const inspected: Awaited<ReturnType<typeof inspectLock>>[] = []
          for (const { lock, store } of bundles)
            inspected.push(
              await inspectLock(lock, {
                what,
                name,
                match,
                layers,
                contents: () => readLayers(store, shell),
              }),
            )
          return inspected
        })
        const values = shown.map(({ value }) => value)
        shell.print(values.length === 1 ? values[0] : values, () => shown.flatMap(({ text }) => text()))
      },
    )
}
