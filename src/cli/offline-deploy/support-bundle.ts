import type { Command } from 'commander'
import { toolVersion } from '../../core/tool-version.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { deployContext } from './context.ts'
import { bundleOptions, configureOptions, serverOptions } from './options.ts'

export function supportBundleCommand(program: Command, shell: Shell): void {
  addExamples(configureOptions(serverOptions(bundleOptions(program.command('support-bundle')))), [
    ['offline-deploy support-bundle --out support.tar.gz'],
  ])
    .description('Collect versions, journal, configuration, logs and pods for support, without secrets')
    .requiredOption('--out <file>', 'the archive to write, FILE.tar.gz (mode 0600)')
    .action(async (options: SiteOptions & { out: string }) => {
      const { collectSupportBundle } = await import('../../deploy/support-bundle.ts')
      const context = deployContext(shell)
      const collected = await collectSupportBundle(options, context, { programVersion: toolVersion })
      const { out, files } = collected
      const size = files.reduce((sum, file) => sum + file.size, 0)
      shell.print(collected, () => [
        ...files.map(file => `${humanBytes(file.size).padStart(10)}  ${file.path}`),
        `wrote ${out}: ${files.length} files, ${humanBytes(size)}, mode 0600`,
        'secrets of this site, private keys and passwords in URLs are removed; names and addresses of machines are not',
      ])
    })
}
