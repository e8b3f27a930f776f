import type { Command } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { verifyBundles } from '../../deploy/verify.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes, humanTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { bundleOptions } from './options.ts'

interface VerifyOptions extends SiteOptions {
  cluster?: boolean
}

export function verifyCommand(program: Command, shell: Shell): void {
  addExamples(bundleOptions(program.command('verify')), [
    ['offline-deploy verify /media/usb/astrago.tar --expect sha256:…'],
    ['offline-deploy verify --cluster', 'what runs in the cluster, against this site'],
  ])
    .description(
      'Verify every byte of the bundle and check that its names can be served; exit 6 if it is corrupt',
    )
    .argument('[bundle]', 'the bundle (default: --bundle, or the .tar next to the program)')
    .option(
      '--cluster',
      'check the cluster of the site instead: images come from this site, nodes and pods are ready; exit 8 if not',
    )
    .action(async (named: string | undefined, { cluster, ...options }: VerifyOptions) => {
      if (cluster) return await verifyRunning(named, options, shell)
      const started = performance.now()
      const bundles = await verifyBundles(named === undefined ? options : { ...options, bundle: [named] }, {
        progress: shell.progress(),
        signal: shell.signal,
      })
      const seconds = (performance.now() - started) / 1000
      shell.print({ bundles, seconds }, () =>
        [
          ...bundles.flatMap(report => [
            `${report.path}: good`,
            `  ${report.name} ${report.version}`,
            `  digest  ${report.indexDigest}`,
            `  content ${report.blobs} blobs, ${humanBytes(report.size)}`,
          ]),
          `read in ${humanTime(seconds)}`,
        ].join('\n'),
      )
    })
}

async function verifyRunning(named: string | undefined, options: SiteOptions, shell: Shell): Promise<void> {
  if (named !== undefined)
    throw new AirgapError('USAGE', '--cluster checks the cluster, not a bundle', {
      item: named,
      next: 'run verify twice: with --cluster, and for the bundle',
    })
  const { verifyCluster } = await import('../../deploy/verify-cluster.ts')
  const { refuseFindings } = await import('../../install/steps/verification.ts')
  const { site, findings } = await verifyCluster(options, { signal: shell.signal })
  const errors = findings.filter(({ severity }) => severity === 'error').length
  const verdict = errors === 0 ? 'good' : `${errors} ${errors === 1 ? 'error' : 'errors'}`
  const shown = findings.map(({ severity, what, next }) => ({ severity, what, next }))
  shell.print({ site, good: errors === 0, findings: shown }, () =>
    [
      ...findings.map(({ severity, what, next }) => `${severity.padEnd(8)} ${what}\n         ${next}`),
      `cluster of ${site}: ${verdict}`,
    ].join('\n'),
  )
  refuseFindings(findings)
}
