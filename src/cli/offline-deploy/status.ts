import type { Command } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import type { ClusterStatus } from '../../deploy/cluster.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import type { ServersStatus, SiteStatus } from '../../deploy/status.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
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
      const pending = status.steps.filter(({ state }) => state === 'pending')
      if (exitCode && status.cluster?.refused !== undefined) throw status.cluster.refused
      if (exitCode && pending.length > 0)
        throw new AirgapError('DIFFERENT', `${pending.length} steps are not as apply leaves them`, {
          item: pending.map(({ id }) => id).join(', '),
          next: 'run `offline-deploy apply`',
        })
    })
}

function statusText({ site, bundles, servers, steps, cluster }: SiteStatus): string {
  return [
    ...bundles.map(({ name, version, path }) => `bundle   ${name} ${version}  ${path}`),
    `site     ${site}`,
    serversLine(servers),
    ...steps.map(stepLine),
    ...clusterLines(cluster),
  ].join('\n')
}

function serversLine({ running, process, registry, httpServer }: ServersStatus): string {
  if (!running) return 'servers  not running'
  return `servers  running (process ${process}): registry ${registry}, HTTP server ${httpServer}`
}

function stepLine({ id, state, reason, doneAt, log }: SiteStatus['steps'][number]): string {
  const what = state === 'done' ? `, ${doneAt}` : `: ${reason}`
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
