import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenBundle } from '../../deploy/open-bundles.ts'
import {
  type Expectations,
  type NodeState,
  nodeStates,
  type ReleaseState,
  releaseStates,
} from '../../install/cluster-findings.ts'
import { askCluster, type Cluster } from '../../install/kube.ts'
import { toolPaths } from '../../install/steps/control-host.ts'
import type { SiteFile } from '../../inventory/schema.ts'
import type { SiteState } from '../../site/state.ts'
import { carriedImages } from './carried-images.ts'
import type { SiteInstall } from './site-install.ts'

/** Where the cluster of a site is asked: its own kubeconfig before the one that kubespray writes. */
export function clusterOf(site: SiteFile | undefined, paths: SiteState['paths']): Cluster {
  const tools = toolPaths(paths.tools)
  return {
    bin: tools.bin,
    kubeconfig: site?.kubeconfig ?? join(paths.inventory, 'artifacts', 'admin.conf'),
    home: tools.home,
  }
}

/** Undefined where there is no kubeconfig yet: no cluster was made, or none is known. */
export async function knownCluster(
  site: SiteFile | undefined,
  paths: SiteState['paths'],
): Promise<Cluster | undefined> {
  const cluster = clusterOf(site, paths)
  const there = await stat(cluster.kubeconfig).catch(() => undefined)
  return there === undefined ? undefined : cluster
}

const sessionApplication = 'gpu-session-monitoring'

/** What the site's cluster has to be like. */
export function clusterExpectations(options: {
  install: Pick<SiteInstall, 'site' | 'deployment'>
  bundles: readonly OpenBundle[]
  registry: string
}): Expectations & { sessionMetrics: boolean } {
  const { site, deployment } = options.install
  const gpuNodes = site.nodes.filter(({ roles }) => roles.includes('gpu')).map(({ name }) => name)
  const { order = [] } = deployment.applications ?? {}
  return {
    registry: options.registry,
    carried: carriedImages(options.bundles),
    gpuNodes,
    sessionMetrics:
      gpuNodes.length > 0 &&
      order.includes(sessionApplication) &&
      site.switches.applications[sessionApplication] !== false,
  }
}

export interface ClusterStatus {
  answers: boolean
  nodes: NodeState[]
  releases: ReleaseState[]
}

const quickMs = 5_000

/** What a cluster says of itself, in five seconds or not at all. */
export async function clusterStatus(cluster: Cluster, signal: AbortSignal): Promise<ClusterStatus> {
  const ask = (program: 'kubectl' | 'helm', args: string[]) =>
    askCluster(cluster, { program, args, signal, timeoutMs: quickMs })
  const [nodes, releases] = await Promise.all([
    ask('kubectl', ['get', 'nodes', '--output', 'json', '--request-timeout=4s']).then(nodeStates),
    ask('helm', ['list', '--all-namespaces', '--all', '--output', 'json']).then(releaseStates),
  ])
  return { answers: nodes !== undefined, nodes: nodes ?? [], releases: releases ?? [] }
}

export function clusterLines(status: ClusterStatus | null): string[] {
  if (status === null) return []
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
