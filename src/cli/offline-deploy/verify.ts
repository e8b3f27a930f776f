import { dirname } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import type { EgressReport } from '../../deploy/egress.ts'
import { programFolder } from '../../deploy/locate.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { type VerifiedBundle, verifyBundles } from '../../deploy/verify.ts'
import { isNetwork } from '../../inventory/network.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes, humanTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { trustLines } from '../shell/trust-text.ts'
import { deployContext } from './context.ts'
import { bundleOptions } from './options.ts'

interface VerifyOptions extends SiteOptions {
  cluster?: boolean
  egress?: number
  inside: string[]
}

export function verifyCommand(program: Command, shell: Shell): void {
  addExamples(bundleOptions(program.command('verify')), [
    ['offline-deploy verify /media/usb/astrago.tar --expect sha256:…'],
    ['offline-deploy verify --cluster', 'what runs in the cluster, against this site'],
    [
      'offline-deploy verify --cluster --egress 10',
      'who tries to leave the closed network: node, pod, process',
    ],
  ])
    .description(
      'Verify every byte of the bundle and check that its names can be served; exit 6 if it is corrupt',
    )
    .argument('[bundle]', 'the bundle (default: --bundle, or the .tar next to the program)')
    .option(
      '--cluster',
      'check the cluster of the site instead: images come from this site, nodes and pods are ready; exit 8 if not',
    )
    .option(
      '--egress <minutes>',
      'with --cluster: watch all machines that long, and report who tries to reach addresses outside; exit 8 if anyone does',
      minutes,
    )
    .option(
      '--inside <network>',
      'with --egress: a network that belongs to the site, such as 10.0.0.0/8 (repeatable)',
      network,
      [],
    )
    .action(async (named: string | undefined, { cluster, egress, inside, ...options }: VerifyOptions) => {
      if (egress !== undefined && !cluster) throw needsCluster()
      if (egress !== undefined) return await verifyEgress({ ...options, minutes: egress, inside }, shell)
      if (cluster) return await verifyRunning(named, options, shell)
      const started = performance.now()
      const bundles = await verifyBundles(named === undefined ? options : { ...options, bundle: [named] }, {
        progress: shell.progress(),
        signal: shell.signal,
        now: () => new Date(),
      })
      const seconds = (performance.now() - started) / 1000
      shell.print({ bundles, seconds }, () => [
        ...bundles.flatMap(report => [
          `${report.path}: good`,
          `  ${report.name} ${report.version}`,
          `  digest  ${report.indexDigest}`,
          `  content ${report.blobs} blobs, ${humanBytes(report.size)}`,
          ...trustLines(report.trust),
          ...(report.verifiesItself ? selfLines(report) : []),
        ]),
        `read in ${humanTime(seconds)}`,
      ])
    })
}

/** A program that came with the bundle says what its author wants it to say. */
function selfLines({ path, trust }: VerifiedBundle): string[] {
  const sums = `${path}.sums`
  return [
    '  note    this program came with the bundle, so it cannot vouch for itself: if it was changed, it may report anything. To be sure, check it',
    `          with the tools of this machine, and with the key from the sheet that arrived separately (${path}.verify.txt has the details):`,
    trust.signedBy.length + trust.unconfirmed.length > 0
      ? `            minisign -V -m ${sums} -P KEY-OF-THE-SHEET`
      : `            sha256sum ${sums}   # compare it with the sheet`,
    `            cd ${dirname(programFolder() ?? path)} && grep offline-deploy/ ${sums} | sha256sum -c -`,
  ]
}

async function verifyRunning(named: string | undefined, options: SiteOptions, shell: Shell): Promise<void> {
  if (named !== undefined)
    throw new AirgapError('USAGE', '--cluster checks the cluster, not a bundle', {
      item: named,
      next: 'run verify twice: with --cluster, and for the bundle',
    })
  const { verifyCluster } = await import('../../deploy/verify-cluster.ts')
  const { refuseFindings } = await import('../../install/steps/verification.ts')
  const { site, findings } = await verifyCluster(options, { signal: shell.signal, now: () => new Date() })
  const errors = findings.filter(({ severity }) => severity === 'error').length
  const verdict = errors === 0 ? 'good' : `${errors} ${errors === 1 ? 'error' : 'errors'}`
  const shown = findings.map(({ severity, what, next }) => ({ severity, what, next }))
  shell.print({ site, good: errors === 0, findings: shown }, () => [
    ...findings.flatMap(({ severity, what, next }) => [`${severity.padEnd(8)} ${what}`, `         ${next}`]),
    `cluster of ${site}: ${verdict}`,
  ])
  refuseFindings(findings)
}

function needsCluster(): AirgapError {
  return new AirgapError('USAGE', '--egress watches the machines of a cluster', {
    item: '--egress',
    next: 'run `offline-deploy verify --cluster --egress MINUTES`',
  })
}

async function verifyEgress(
  options: SiteOptions & { minutes: number; inside: readonly string[] },
  shell: Shell,
): Promise<void> {
  const { watchEgress } = await import('../../deploy/egress.ts')
  const report = await watchEgress(options, deployContext(shell))
  shell.print(report, () => egressText(report))
  if (report.gaps.length > 0)
    throw new AirgapError(
      'STEP_FAILED',
      [
        `${report.gaps.length} machines were not watched, or not to the end:`,
        ...report.gaps.map(({ node, what }) => `  ${node}: ${what}`),
      ],
      {
        next: [...new Set(report.gaps.map(({ next }) => next))].join('; '),
      },
    )
  if (report.attempts.length > 0)
    throw new AirgapError('STEP_FAILED', 'something tried to leave the site', {
      item: `${report.attempts.length} ${report.attempts.length === 1 ? 'destination' : 'destinations'}`,
      next: 'configure the named pods and programs for a closed network; if a network belongs to the site, name it with --inside',
    })
}

function egressText({ site, seconds, watched, attempts }: EgressReport): string[] {
  const lines = attempts.map(({ node, pod, process, protocol, destination, port, queries, packets }) => {
    const place = `${destination.includes(':') ? `[${destination}]` : destination}${port === 0 ? '' : `:${port}`}`
    const asked = queries.length === 0 ? '' : `  asked for ${queries.join(', ')}`
    return `${node}  ${pod ?? 'machine'}  ${process ?? 'unknown program'}  ${protocol} ${place}  ${packets}×${asked}`
  })
  const verdict = attempts.length === 0 ? 'nothing tried to leave' : `${attempts.length} tried to leave`
  return [...lines, `${site}: ${watched.length} machines, ${humanTime(seconds)}: ${verdict}`]
}

function minutes(text: string): number {
  const value = Number(text)
  if (value > 0 && value <= 1440) return value
  throw new InvalidArgumentError('must be a number of minutes, at most 1440')
}

function network(text: string, before: string[]): string[] {
  if (!isNetwork(text)) throw new InvalidArgumentError('must be an address or a network, such as 10.0.0.0/8')
  return [...before, text]
}
