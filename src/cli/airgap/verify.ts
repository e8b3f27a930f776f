import type { Command } from 'commander'
import { verifyBundle } from '../../bundle/verify.ts'
import { parseDigest } from '../../core/digest.ts'
import { humanBytes, humanTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'

export function verifyCommand(program: Command, shell: Shell): void {
  program
    .command('verify')
    .description('read the whole bundle and check every byte; exit 6 if anything is wrong')
    .argument('<bundle>', 'the .tar that `airgap build` wrote')
    .option('--expect <digest>', 'the digest that `airgap build` printed')
    .action(async (path: string, options: { expect?: string }) => {
      const started = performance.now()
      const expect = options.expect === undefined ? undefined : parseDigest(options.expect)
      const report = await verifyBundle(path, {
        progress: shell.progress(),
        signal: shell.signal,
        ...(expect === undefined ? {} : { expect }),
      })
      const seconds = (performance.now() - started) / 1000
      shell.print({ ...report, seconds }, () =>
        [
          `${path}: good`,
          `  digest  ${report.indexDigest}`,
          `  content ${report.blobs} blobs, ${humanBytes(report.size)}, read in ${humanTime(seconds)}`,
          ...(report.notCarried > 0
            ? [`  ${report.notCarried} manifests of other platforms are named but not carried`]
            : []),
        ].join('\n'),
      )
    })
}
