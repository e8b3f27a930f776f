import type { Command } from 'commander'
import { extractBundle } from '../../bundle/extract.ts'
import { openBundle } from '../../bundle/reader.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { annotationKeys, mediaTypes } from '../../core/media-types.ts'
import { repeated } from '../shell/arguments.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'

export function extractCommand(program: Command, shell: Shell): void {
  program
    .command('extract')
    .description(
      'lay content down: files, packages and trees as folders; with --layout all of it as an OCI image layout',
    )
    .argument('<bundle>', 'the .tar that `airgap build` wrote')
    .argument('<folder>', 'where; made if it is not there')
    .option(
      '--select <name>',
      'only this: an image reference, or a tree such as files or debs/debian-12 (repeatable)',
      repeated,
      [],
    )
    .option('--layout', 'an OCI image layout, images and charts included')
    .option('--dry-run', 'say what would be written')
    .action(
      async (
        path: string,
        folder: string,
        options: { select: string[]; layout?: boolean; dryRun?: boolean },
      ) => {
        const bundle = await openBundle(path)
        try {
          const select = selection(options)
          if (options.dryRun) {
            const names = bundle.roots().filter(select).map(nameOf)
            shell.print({ target: folder, artifacts: names }, () => names.join('\n'))
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

function nameOf(root: Descriptor): string {
  return root.annotations?.[annotationKeys.refName] ?? root.digest
}

/** Large trees are sharded: `files.2` belongs to `files`. */
function selection(options: { select: string[]; layout?: boolean }): (root: Descriptor) => boolean {
  return root => {
    if (!options.layout && root.artifactType !== mediaTypes.tree) return false
    const name = nameOf(root)
    return (
      options.select.length === 0 ||
      options.select.some(wanted => name === wanted || name.replace(/\.\d+$/, '') === wanted)
    )
  }
}
