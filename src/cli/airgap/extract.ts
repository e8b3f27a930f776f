import type { Command } from 'commander'
import { extractBundle } from '../../bundle/extract.ts'
import { openBundle } from '../../bundle/reader.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { repeated } from './options.ts'

export function extractCommand(program: Command, shell: Shell): void {
  program
    .command('extract')
    .description('lay a bundle’s content down in a folder: an OCI image layout, and trees as plain files')
    .argument('<bundle>')
    .argument('<folder>')
    .option(
      '--select <name>',
      'only this artifact: an image reference, or a tree such as files or debs/debian-12 (repeatable)',
      repeated,
      [],
    )
    .option('--dry-run', 'say what would be written')
    .action(async (path: string, folder: string, options: { select: string[]; dryRun?: boolean }) => {
      const bundle = await openBundle(path)
      try {
        const result = await extractBundle(bundle, folder, {
          ...(options.select.length > 0 ? { select: options.select } : {}),
          dryRun: options.dryRun ?? false,
        })
        shell.print(
          result,
          () =>
            `${folder}: ${result.files} files, ${humanBytes(result.bytes)}${options.dryRun ? ' (nothing written)' : ''}`,
        )
      } finally {
        await bundle.close()
      }
    })
}
