import pLimit from 'p-limit'
import { AirgapError } from '../core/errors.ts'
import { attributeEgress, type Egress } from '../install/egress/attribute.ts'
import { type Captured, captureEgress } from '../install/egress/capture.ts'
import { queryCluster } from '../install/kube.ts'
import { isNetwork } from '../inventory/network.ts'
import { previewState } from '../site/state.ts'
import { knownCluster } from './cluster.ts'
import type { DeployContext } from './context.ts'
import { openPasswords } from './passwords.ts'
import { setUp } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

export interface EgressReport {
  site: string
  seconds: number
  /** machines that were watched */
  watched: string[]
  attempts: Egress[]
  /** machines that were not watched, or not to the end */
  gaps: { node: string; what: string; next: string }[]
}

/**
 * Watches all machines of the site at once, and returns who tried to reach an address outside of it: destinations that no machine is
 * connected to, and that are in none of `inside` (networks). Pods and services are inside. Needs no bundle. Throws FILE_NOT_FOUND without a
 * site.yaml.
 */
export async function watchEgress(
  options: SiteOptions & { minutes: number; inside: readonly string[] },
  context: DeployContext,
): Promise<EgressReport> {
  const { siteFolder, site, address } = await setUp(options)
  const state = await previewState(siteFolder)
  if (site === undefined)
    throw new AirgapError('FILE_NOT_FOUND', 'this site has no site.yaml', {
      item: state.paths.siteFile,
      likely: 'the site has another state folder',
      next: 'name it with --site, or write site.yaml with `offline-deploy init`',
    })
  const passwords = await openPasswords(site, {
    folder: state.paths.access,
    purpose: 'apply',
    sources: context,
  })
  const access = { ssh: site.ssh, knownHosts: state.paths.knownHosts, passwords }
  const seconds = Math.round(options.minutes * 60)
  const variable = (name: string, standard: string) =>
    typeof site.kubespray[name] === 'string' ? site.kubespray[name] : standard
  const inside = [
    variable('kube_pods_subnet', '10.233.64.0/18'),
    variable('kube_service_addresses', '10.233.0.0/18'),
    ...site.nodes.map(node => node.address),
    address.host,
    ...(site.nameservers ?? []),
    ...options.inside,
    // host names are left out: nobody resolves them here
  ].filter(isNetwork)
  context.progress.note(`watching ${site.nodes.length} machines for ${options.minutes} minutes`)
  const limit = pLimit(site.nodes.length)
  const captured = new Map<string, Captured>(
    await Promise.all(
      site.nodes.map(node =>
        limit(async () => {
          const result = await captureEgress(node, access, { seconds, inside, signal: context.signal })
          return [node.name, result] as const
        }),
      ),
    ),
  )
  await using cluster = await knownCluster(site, state.paths).catch(() => undefined)
  const pods =
    cluster &&
    (await queryCluster(cluster, {
      program: 'kubectl',
      args: ['get', 'pods', '--all-namespaces', '--output', 'json'],
      signal: context.signal,
      timeoutMs: 60_000,
    }))
  return {
    site: siteFolder,
    seconds,
    watched: [...captured].flatMap(([node, capture]) => ('failed' in capture ? [] : [node])),
    attempts: attributeEgress(captured, pods),
    gaps: [...captured].flatMap(([node, capture]) => gapOf(node, capture)),
  }
}

function gapOf(node: string, capture: Captured): EgressReport['gaps'] {
  if ('failed' in capture) return [{ node, ...capture.failed }]
  if (!capture.full) return []
  return [{ node, what: 'more was seen than could be listed', next: 'mend what is listed, and watch again' }]
}
