import type { Command } from 'commander'
import { siteReceipt } from '../../deploy/receipt.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { bundleOptions } from './options.ts'

export function receiptCommand(program: Command, shell: Shell): void {
  addExamples(bundleOptions(program.command('receipt')), [['offline-deploy receipt --out receipt.json']])
    .description('List what this site holds, to plan the next bundle (no host names, no addresses)')
    .option('--out <file>', 'also write the list to this file, as JSON')
    .action(async (options: SiteOptions & { out?: string }) => {
      const receipt = await siteReceipt(options, new Date())
      shell.print(receipt, () => [
        ...receipt.bundles.map(({ name, version, digest }) => `bundle  ${name} ${version}  ${digest}`),
        ...(receipt.trust === undefined
          ? []
          : [`trusts  ${receipt.trust.keys.join(', ')} (${receipt.trust.threshold} must sign)`]),
        `holds   ${receipt.blobs.length} blobs`,
        options.out === undefined
          ? 'for a file: offline-deploy receipt --out receipt.json'
          : `wrote ${options.out}`,
      ])
    })
}
