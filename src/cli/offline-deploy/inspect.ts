import type { Command } from 'commander'
import { bundleLocks } from '../../deploy/inspect.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { addExamples } from '../shell/examples.ts'
import { inspectLock, sectionWords } from '../shell/inspect-sections.ts'
import type { Shell } from '../shell/run.ts'
import { bundleOptions } from './options.ts'

export function inspectCommand(program: Command, shell: Shell): void {
  addExamples(bundleOptions(program.command('inspect')), [
    ['offline-deploy inspect images --match calico'],
    ['offline-deploy inspect sbom > sbom.cdx.json', 'what is inside, for the security officer'],
  ])
    .description('Show what is inside the bundle')
    .argument('[what]', sectionWords())
    .argument('[name]', 'with why: a package, image, chart or file')
    .option('--match <text>', 'only names that contain this')
    .action(
      async (
        what: string | undefined,
        name: string | undefined,
        { match, ...options }: SiteOptions & { match?: string },
      ) => {
        const locks = await bundleLocks(options)
        const shown = await Promise.all(locks.map(lock => inspectLock(lock, { what, name, match })))
        const values = shown.map(({ value }) => value)
        shell.print(values.length === 1 ? values[0] : values, () =>
          shown.map(({ text }) => text()).join('\n'),
        )
      },
    )
}
