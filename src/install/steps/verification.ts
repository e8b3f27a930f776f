import { setTimeout as sleep } from 'node:timers/promises'
import { AirgapError } from '../../core/errors.ts'
import {
  type ClusterFinding,
  clusterFindings,
  type Expectations,
  prometheusPath,
  sessionFindings,
  sessionQueries,
} from '../cluster-findings.ts'
import { askCluster, type Cluster } from '../kube.ts'
import type { Step } from '../step.ts'

export interface VerificationOptions extends Expectations {
  cluster: Cluster
  needs: readonly string[]
  /** whether something collects metrics of GPU sessions here */
  sessionMetrics: boolean
  /** how long pods may take to get ready: operators go on after helmfile has ended */
  patienceMs?: number
}

const defaultPatienceMs = 10 * 60_000
const pauseMs = 5_000
const shownFindings = 30

/** Last of all: what runs in the cluster came from this site, and runs. */
export function verificationStep(options: VerificationOptions): Step {
  const { needs, registry, gpuNodes, sessionMetrics, patienceMs = defaultPatienceMs } = options
  return {
    id: 'verification',
    title: 'what runs in the cluster came from this site, and is ready',
    needs,
    inputs: { registry, gpuNodes, sessionMetrics },
    describe: async () => [
      `every image of every pod is of ${registry}, or of the bundle by its own name; pods and nodes are ready`,
      ...(gpuNodes.length === 0 ? [] : [`GPUs are offered by ${gpuNodes.join(', ')}`]),
      ...(sessionMetrics ? ['Prometheus has the metrics of GPU sessions'] : []),
    ],
    // it is quick, and only worth something now
    always: true,
    check: async () => 'pending',
    async apply({ signal, progress }) {
      const until = performance.now() + patienceMs
      for (let told = ''; ; ) {
        const { findings, waits } = await clusterState(options, signal)
        if (!waits || performance.now() >= until) {
          for (const { what, next } of findings.filter(one => one.severity === 'warning'))
            progress.note(`verification: ${what}; ${next}`)
          refuseFindings(findings)
          return
        }
        const errors = findings.filter(one => one.severity === 'error')
        const line = `verification: waiting: ${errors[0]?.what}${errors.length > 1 ? `, and ${errors.length - 1} more` : ''}`
        if (line !== told) progress.note((told = line))
        await sleep(pauseMs, undefined, { signal })
      }
    },
  }
}

/** Asks a cluster once for all of it. `waits`: what is wrong may come right by itself. */
export async function clusterState(
  options: Omit<VerificationOptions, 'needs' | 'patienceMs'>,
  signal: AbortSignal,
): Promise<{ findings: ClusterFinding[]; waits: boolean }> {
  const { cluster, gpuNodes, sessionMetrics } = options
  const ask = (args: readonly string[]) =>
    askCluster(cluster, { program: 'kubectl', args: [...args, '--request-timeout=30s'], signal })
  const [nodes, pods, releases] = await Promise.all([
    ask(['get', 'nodes', '--output', 'json']),
    ask(['get', 'pods', '--all-namespaces', '--output', 'json']),
    askCluster(cluster, { program: 'helm', args: ['list', '--all-namespaces', '--output', 'json'], signal }),
  ])
  const findings = clusterFindings({ nodes, pods, releases }, options)
  if (sessionMetrics && nodes !== undefined) {
    const path = prometheusPath(await ask(['get', 'services', '--all-namespaces', '--output', 'json']))
    const query = (text: string) =>
      path === undefined ? undefined : ask(['get', '--raw', `${path}?query=${encodeURIComponent(text)}`])
    const [success, age] = await Promise.all([query(sessionQueries.success), query(sessionQueries.age)])
    findings.push(...sessionFindings({ success, age }, { gpuNodes }))
  }
  const errors = findings.filter(one => one.severity === 'error')
  return { findings, waits: errors.length > 0 && errors.every(one => one.passing) }
}

/** Throws STEP_FAILED with all errors at once. */
export function refuseFindings(findings: readonly ClusterFinding[]): void {
  const errors = findings.filter(one => one.severity === 'error')
  if (errors.length === 0) return
  const more = errors.length - shownFindings
  throw new AirgapError(
    'STEP_FAILED',
    [
      'the cluster is not as it has to be:',
      ...errors.slice(0, shownFindings).map(({ what }) => `  ${what}`),
      ...(more > 0 ? [`  and ${more} more`] : []),
    ].join('\n'),
    {
      item: `${errors.length} ${errors.length === 1 ? 'finding' : 'findings'}`,
      next: [...new Set(errors.map(({ next }) => next))].join('; '),
    },
  )
}
