import type { Command } from 'commander'
import { artifactsOf, type BundleArtifact } from '../../bundle/artifacts.ts'
import { extractBundle } from '../../bundle/extract.ts'
import { openBundle } from '../../bundle/reader.ts'
import { refuseUnmarkedShards } from '../../content/unmarked-shards.ts'
import { repeated } from '../shell/arguments.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'

export function extractCommand(program: Command, shell: Shell): void {
  addExamples(program.command('extract'), [
    ['airgap extract stack-1.0.0.tar /srv/content --select debs/ubuntu-22.04'],
    ['airgap extract stack-1.0.0.tar layout --layout', 'an OCI image layout of everything'],
  ])
    .description('Extract files, packages and trees of a bundle into a folder')
    .argument('<bundle>', 'the .tar that `airgap build` wrote')
    .argument('<folder>', 'target folder; created if missing')
    .option(
      '--select <name>',
      'extract only this tree (files, debs/debian-12) or, with --layout, image (repeatable)',
      repeated,
      [],
    )
    .option('--layout', 'write an OCI image layout, including images and charts')
    .option('--dry-run', 'show what would be extracted; write nothing')
    .action(
      async (
        path: string,
        folder: string,
        options: { select: string[]; layout?: boolean; dryRun?: boolean },
      ) => {
        const bundle = await openBundle(path)
        try {
          await refuseUnmarkedShards(bundle, path)
          const select = selection(options)
          if (options.dryRun) {
            const names = artifactsOf(bundle.roots())
              .filter(select)
              .map(({ name }) => name)
            shell.print({ target: folder, artifacts: names }, () => names)
            return
          }
          const as = options.layout ? 'layout' : 'files'
          const report = await extractBundle(bundle, folder, { as, select, signal: shell.signal })
          shell.print(report, () => `${folder}: ${report.files} files, ${humanBytes(report.bytes)}`)
        } finally {
          await bundle.close()
        }
      },
    )
}

function selection(options: { select: string[]; layout?: boolean }): (artifact: BundleArtifact) => boolean {
  return ({ name, isTree }) =>
    (options.layout === true || isTree) && (options.select.length === 0 || options.select.includes(name))
}
