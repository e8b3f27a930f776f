import type { Command } from 'commander'
import { openBundle } from '../../bundle/reader.ts'
import { verifyBundle } from '../../bundle/verify.ts'
import { defined } from '../../core/defined.ts'
import { parseDigest } from '../../core/digest.ts'
import { checkBundleNames } from '../../site/check-names.ts'
import { humanBytes, humanTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'

export function verifyCommand(program: Command, shell: Shell): void {
  program
    .command('verify')
    .description(
      'Verify every byte of the bundle and check that its names can be served; exit 6 if it is corrupt',
    )
    .argument('<bundle>', 'the .tar that `airgap build` wrote')
    .option(
      '--expect <digest>',
      'the digest that `airgap build` printed; exit 6 if the bundle has another one',
    )
    .action(async (path: string, options: { expect?: string }) => {
      const started = performance.now()
      const expect = options.expect === undefined ? undefined : parseDigest(options.expect)
      const report = await verifyBundle(path, {
        progress: shell.progress(),
        signal: shell.signal,
        ...defined({ expect }),
      })
      await checkNames(path)
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

async function checkNames(path: string): Promise<void> {
  const bundle = await openBundle(path)
  try {
    await checkBundleNames(bundle)
  } finally {
    await bundle.close()
  }
}
