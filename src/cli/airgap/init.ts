import { open } from 'node:fs/promises'
import type { Command } from 'commander'
import { AirgapError, errnoOf, fromSystemError } from '../../core/errors.ts'
import { starterManifest } from '../../manifest/starter.ts'
import type { Shell } from '../shell/run.ts'

export function initCommand(program: Command, shell: Shell): void {
  program
    .command('init')
    .description('Write a starter manifest')
    .argument('[file]', 'the manifest to write', 'stack.yaml')
    .option('--dry-run', 'print the manifest; write nothing')
    .action(async (file: string, options: { dryRun?: boolean }) => {
      if (options.dryRun) {
        shell.print({ file, text: starterManifest }, () => starterManifest)
        return
      }
      try {
        const handle = await open(file, 'wx')
        await handle.writeFile(starterManifest)
        await handle.close()
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw fromSystemError(error, file)
        throw new AirgapError('USAGE', 'the file exists already', {
          item: file,
          next: 'choose another file name',
        })
      }
      shell.print({ file }, () => `${file}: written. Next: edit it, then run \`airgap lock -f ${file}\``)
    })
}
