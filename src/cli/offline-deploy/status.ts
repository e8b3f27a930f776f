import type { Command } from 'commander'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { oneLine } from '../../core/printable.ts'
import type { CertificateView } from '../../deploy/certificates.ts'
import type { ClusterStatus } from '../../deploy/cluster.ts'
import type { ServingRecord } from '../../deploy/serving-record.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import type { VerifiedContent } from '../../deploy/site-verdicts.ts'
import type { BundleStatus, RunningStatus, ServersStatus, SiteStatus } from '../../deploy/status.ts'
import { strangersOnPorts } from '../../install/site-servers.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes, localTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { keyText, trustLines } from '../shell/trust-text.ts'
import { certificateLines } from './certificates.ts'
import { deployContext } from './context.ts'
import { bundleOptions, configureOptions, serverOptions } from './options.ts'

export function statusCommand(program: Command, shell: Shell): void {
  addExamples(configureOptions(serverOptions(bundleOptions(program.command('status')))), [
    ['offline-deploy status --site /opt/site'],
    ['offline-deploy status --exit-code -o json', 'for monitoring'],
  ])
    .description('Show what is installed and what runs, on this site and in its cluster')
    .option('--exit-code', 'exit 3 if anything differs from what apply left')
    .action(async ({ exitCode, ...options }: SiteOptions & { exitCode?: boolean }) => {
      const { siteStatus } = await import('../../deploy/status.ts')
      const status = await siteStatus(options, deployContext(shell))
      shell.print(status, () => statusText(status))
      const missing = status.bundles.find(({ unreadable }) => unreadable !== undefined)
      if (exitCode && missing?.unreadable !== undefined) throw missing.unreadable
      if (exitCode && status.servers.strangers.length > 0) throw strangersOnPorts(status.servers.strangers)
      const expired = status.tls.certificates.find(({ problem }) => problem?.level === 'error')
      if (exitCode && expired !== undefined) throw invalidCertificate(expired)
      const damage = damageIn(status.bundles)
      if (exitCode && damage !== undefined) throw damage
      const pending = status.steps.filter(({ state }) => state === 'pending')
      if (exitCode && status.cluster?.refused !== undefined) throw status.cluster.refused
      if (exitCode && pending.length > 0)
        throw new AirgapError('DIFFERENT', `${pending.length} steps are not as apply leaves them`, {
          item: pending.map(({ id }) => id).join(', '),
          next: 'run `offline-deploy apply`',
        })
    })
}

function statusText(status: SiteStatus): string[] {
  const { site, keys, bundles, servers, tls, pushed, running, steps, cluster } = status
  return [
    ...bundles.flatMap(bundleLines),
    `site     ${site}`,
    ...keyLines(keys),
    ...serversLines(servers, bundles),
    ...certificateLines(tls),
    ...pushedLines(pushed),
    ...(running === null ? [] : [runningLine(running)]),
    ...steps.map(stepLine),
    ...clusterLines(cluster),
  ]
}

function bundleLines({ name, version, path, trust, content, unreadable }: BundleStatus): string[] {
  const line = `bundle   ${name === null ? 'unknown' : `${name} ${version}`}  ${path}`
  if (unreadable === undefined)
    return [
      line,
      ...(trust === null ? [] : trustLines(trust)),
      ...(content === null ? [] : [verifiedLine(content), ...damageLines(content)]),
    ]
  return [
    line,
    ...(content === null ? [] : damageLines(content)),
    `  cannot be read: ${unreadable.message}`,
    '  next: connect the medium again; until then the steps are shown as the journal has them',
  ]
}

function verifiedLine({ verified, blobs, scrubbed }: VerifiedContent): string {
  const again = scrubbed === null ? '' : `, all read again on ${localTime(scrubbed)}`
  return `  content: ${verified} of ${blobs} blobs verified in the present state of the file${again}`
}

function damageLines({ damaged }: VerifiedContent): string[] {
  return [
    ...damaged.slice(0, 5).map(({ digest, at }) => `  damaged: ${digest}, found on ${localTime(at)}`),
    ...(damaged.length > 5 ? [`  and ${damaged.length - 5} more`] : []),
    ...(damaged.length > 0
      ? [
          '  next: the servers refuse this content; check the medium (`dmesg`), copy the bundle again, then run `offline-deploy apply`',
        ]
      : []),
  ]
}

function damageIn(bundles: readonly BundleStatus[]): AirgapError | undefined {
  const damaged = bundles.flatMap(({ content }) => content?.damaged ?? [])
  const [first] = damaged
  if (first === undefined) return undefined
  return new AirgapError(
    'BUNDLE_CORRUPT',
    `the servers have found ${damaged.length} damaged ${damaged.length === 1 ? 'blob' : 'blobs'}`,
    {
      item: first.digest,
      likely: 'the medium is failing, or the bundle was written to',
      next: 'check the medium (`dmesg`), copy the bundle again, then run `offline-deploy apply`',
    },
  )
}

function invalidCertificate({ of, names, subject, problem }: CertificateView): AirgapError {
  return new AirgapError('EXPIRED', `the certificate of the ${of === 'ca' ? 'CA' : 'servers'} is not valid`, {
    item: of === 'ca' ? subject : names.join(', '),
    likely: `it ${problem?.what}`,
    ...defined({ next: problem?.next }),
  })
}

function keyLines(keys: SiteStatus['keys']): string[] {
  if (keys === null)
    return [
      'keys     none: unsigned bundles are accepted',
      '  next: pin the key of the person who builds the bundles: `offline-deploy keys add FILE`, or `apply --trust-key FINGERPRINT` with a signed bundle',
    ]
  const required = `${keys.threshold} of ${keys.keys.length} must sign`
  return [`keys     ${keys.keys.map(keyText).join(', ')}; ${required}`]
}

function serversLines(
  { running, process, unit, registry, httpServer, serves, strangers, record }: ServersStatus,
  bundles: readonly BundleStatus[],
): string[] {
  if (strangers.length > 0)
    return [
      `servers  another program answers at ${strangers.join(', ')}: it does not prove to be the server of this site`,
      '  next: find it with `ss -ltnp` and stop it, then run `offline-deploy apply`',
    ]
  if (!running)
    return unit === null
      ? ['servers  not running']
      : [
          `servers  not running: systemd unit ${unit}`,
          `  next: systemctl status ${unit}; journalctl -u ${unit}`,
        ]
  const others = serves.filter(digest => !bundles.some(bundle => bundle.digest === digest))
  return [
    `servers  running (${unit === null ? `process ${process}` : `systemd unit ${unit}`}): registry ${registry}, HTTP server ${httpServer}`,
    ...(record === null ? [] : recordLines(record)),
    ...others.map(digest => `  they serve another bundle: ${digest}`),
    ...(bundles.some(({ unreadable }) => unreadable)
      ? [
          '  requests may fail while the medium is missing; connect it again, then run `offline-deploy apply`, which restarts the servers if they need it',
        ]
      : []),
  ]
}

function pushedLines({ repositories, tags, blobs, bytes, stored, quota }: SiteStatus['pushed']): string[] {
  if (repositories === 0 && blobs === 0 && quota === null) return []
  const count = (number: number, noun: string) => `${number} ${number === 1 ? noun : `${noun}s`}`
  const images = repositories === 1 ? '1 repository' : `${repositories} repositories`
  return [
    `pushed   ${count(tags, 'tag')} in ${images}, ${count(blobs, 'blob')} of ${humanBytes(bytes)}`,
    quota === null
      ? `  ${humanBytes(stored)} stored`
      : `  ${humanBytes(stored)} stored, of a quota of ${humanBytes(quota)}${stored > quota * 0.9 ? ': remove images with `offline-deploy images prune`' : ''}`,
  ]
}

function recordLines({ processes, restarts, lastEnd, servers }: ServingRecord): string[] {
  const all = Object.values(servers)
  const requests = all.reduce((sum, one) => sum + one.requests, 0)
  const bytes = all.reduce((sum, one) => sum + one.bytes, 0)
  const by = processes.length === 0 ? '' : ` by ${processes.length} processes`
  const ended = lastEnd === null ? '' : `, the last on ${localTime(lastEnd.at)} (${oneLine(lastEnd.reason)})`
  return [
    `  ${requests} requests answered${by}, ${humanBytes(bytes)} sent`,
    ...(restarts === 0 ? [] : [`  ${restarts} processes ended unexpectedly and were started again${ended}`]),
  ]
}

function runningLine({ process, step, since }: RunningStatus): string {
  const doing = step === null || since === null ? '' : `, step ${step} since ${localTime(since)}`
  return `running  process ${process} is changing this site${doing}`
}

function stepLine(step: SiteStatus['steps'][number]): string {
  const { id, state, reason, log } = step
  const at = state === 'unknown' ? step.at : step.doneAt
  const when = at === undefined || (state !== 'unknown' && state !== 'done') ? '' : `, ${localTime(at)}`
  const what = state === 'done' ? when : `: ${reason}${when}`
  return `${state.padEnd(8)} ${id}${what}${log === undefined ? '' : `, see ${log}`}`
}

function refusalLines({ message, item, next }: AirgapError): string[] {
  return [
    `cluster: not queried: ${message}`,
    ...(item === undefined ? [] : [`  item: ${item}`]),
    ...(next === undefined ? [] : [`  next: ${next}`]),
  ]
}

function clusterLines(status: ClusterStatus | null): string[] {
  if (status === null) return []
  if (status.refused !== undefined) return refusalLines(status.refused)
  if (!status.answers) return ['cluster: does not answer']
  const ready = status.nodes.filter(node => node.ready).length
  return [
    `cluster  ${ready} of ${status.nodes.length} nodes ready`,
    ...status.nodes.map(
      ({ name, ready, version }) =>
        `node     ${name.padEnd(24)} ${ready ? 'ready    ' : 'not ready'} ${version}`,
    ),
    ...status.releases.map(
      one => `release  ${`${one.namespace}/${one.name}`.padEnd(40)} ${one.status.padEnd(16)} ${one.chart}`,
    ),
  ]
}
