import type { Command } from 'commander'
import { type VerifyReport, verifyBundle } from '../../bundle/verify.ts'
import { parseDigest } from '../../core/digest.ts'
import { humanBytes, humanTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { locateBundles } from './locate.ts'
import { bundleOptions, type SiteOptions } from './options.ts'

export function verifyCommand(program: Command, shell: Shell): void {
  bundleOptions(program.command('verify'))
    .description('read the whole bundle and check every byte; exit 6 if anything is wrong')
    .argument('[bundle]', 'the bundle (default: --bundle, or the .tar beside the program)')
    .option(
      '--expect <digest>',
      'the digest that `airgap build` printed, brought by another way than the medium',
    )
    .action(async (named: string | undefined, options: SiteOptions & { expect?: string }) => {
      const expect = options.expect === undefined ? undefined : parseDigest(options.expect)
      const paths = await locateBundles(named === undefined ? (options.bundle ?? []) : [named])
      const started = performance.now()
      const reports: VerifyReport[] = []
      for (const path of paths) {
        const progress = shell.progress()
        reports.push(
          await verifyBundle(path, {
            progress,
            signal: shell.signal,
            ...(expect === undefined ? {} : { expect }),
          }),
        )
      }
      const seconds = (performance.now() - started) / 1000
      shell.print({ bundles: reports, seconds }, () =>
        reports
          .flatMap(report => [
            `${report.path}: good`,
            `  ${report.name} ${report.version}`,
            `  digest  ${report.indexDigest}`,
            `  content ${report.blobs} blobs, ${humanBytes(report.size)}`,
          ])
          .concat(`read in ${humanTime(seconds)}`)
          .join('\n'),
      )
    })
}
