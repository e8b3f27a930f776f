import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { AirgapError } from '../core/errors.ts'
import { type NodeState, nodeStates, type ReleaseState, releaseStates } from '../install/cluster-findings.ts'
import { type Cluster, queryCluster } from '../install/kube.ts'
import { previewCluster } from '../install/kubeconfig.ts'
import { toolPaths } from '../install/steps/control-host.ts'
import { apiServers } from '../inventory/api-servers.ts'
import type { SiteFile } from '../inventory/schema.ts'
import { siteCaPath } from '../kinds/client-file.ts'
import type { SiteState } from '../site/state.ts'

/** How the cluster of a site is reached: by the kubeconfig that site.yaml names, else by that of the cluster installed here. */
export function clusterOf(site: SiteFile | undefined, paths: SiteState['paths']): Cluster {
  const tools = toolPaths(paths.tools)
  const shared = { bin: tools.bin, home: tools.home, caFile: join(paths.clients, siteCaPath) }
  if (site?.kubeconfig !== undefined) return { ...shared, kubeconfig: site.kubeconfig }
  const fetched = { path: paths.fetchedKubeconfig, servers: site && apiServers(site) }
  return { ...shared, kubeconfig: paths.kubeconfig, fetched }
}

/**
 * The cluster for commands that change nothing, and for checks before the site is locked. Undefined where there is no kubeconfig yet:
 * no cluster was installed, or none is known. Throws STEP_FAILED (previewCluster).
 */
export async function knownCluster(
  site: SiteFile | undefined,
  paths: SiteState['paths'],
): Promise<(Cluster & AsyncDisposable) | undefined> {
  const cluster = await previewCluster(clusterOf(site, paths))
  const found = cluster.preview ?? (await stat(cluster.kubeconfig).catch(() => undefined))
  return found === undefined ? undefined : cluster
}

export interface ClusterStatus {
  answers: boolean
  nodes: NodeState[]
  releases: ReleaseState[]
  /** why the kubeconfig that kubespray fetched is not used */
  refused?: AirgapError
}

const quickMs = 5_000

/** What a cluster reports about itself, within five seconds. */
export async function clusterStatus(cluster: Cluster, signal: AbortSignal): Promise<ClusterStatus> {
  const query = (program: 'kubectl' | 'helm', args: string[]) =>
    queryCluster(cluster, { program, args, signal, timeoutMs: quickMs })
  const [nodes, releases] = await Promise.all([
    query('kubectl', ['get', 'nodes', '--output', 'json', '--request-timeout=4s']).then(nodeStates),
    query('helm', ['list', '--all-namespaces', '--all', '--output', 'json']).then(releaseStates),
  ])
  return { answers: nodes !== undefined, nodes: nodes ?? [], releases: releases ?? [] }
}
