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
import { type Cluster, queryCluster } from '../kube.ts'
import type { Step } from '../step.ts'

export interface VerificationOptions extends Expectations {
  cluster: Cluster
  needs: readonly string[]
  /** whether metrics of GPU sessions are collected here */
  sessionMetrics: boolean
  /** time for pods to become ready: operators continue after helmfile has ended */
  patienceMs?: number
}

const defaultPatienceMs = 10 * 60_000
const pauseMs = 5_000
const shownFindings = 30

/** Verifies that everything in the cluster is ready, and that all images come from this site. */
export function verificationStep(options: VerificationOptions): Step {
  const { needs, registry, gpuNodes, sessionMetrics, patienceMs = defaultPatienceMs } = options
  return {
    id: 'verification',
    title: 'Verify the cluster',
    needs,
    inputs: { registry, gpuNodes, sessionMetrics },
    describe: async () => [
      `check that nodes and pods are ready, and that every image comes from ${registry} or is in the bundle`,
      ...(gpuNodes.length === 0 ? [] : [`check that GPUs are allocatable on ${gpuNodes.join(', ')}`]),
      ...(sessionMetrics ? ['check that Prometheus has the metrics of GPU sessions'] : []),
    ],
    // an earlier result says nothing about now
    always: true,
    check: async () => 'pending',
    async apply({ signal, progress }) {
      const until = performance.now() + patienceMs
      for (let reported = ''; ; ) {
        const { findings, waits } = await clusterState(options, signal)
        if (!waits || performance.now() >= until) {
          for (const { what, next } of findings.filter(one => one.severity === 'warning'))
            progress.note(`verification: ${what}; ${next}`)
          refuseFindings(findings)
          return
        }
        const errors = findings.filter(one => one.severity === 'error')
        const line = `verification: waiting: ${errors[0]?.what}${errors.length > 1 ? `, and ${errors.length - 1} more` : ''}`
        if (line !== reported) progress.note((reported = line))
        await sleep(pauseMs, undefined, { signal })
      }
    },
  }
}

/** Queries a cluster once. `waits`: the errors may go away by themselves. */
export async function clusterState(
  options: Omit<VerificationOptions, 'needs' | 'patienceMs'>,
  signal: AbortSignal,
): Promise<{ findings: ClusterFinding[]; waits: boolean }> {
  const { cluster, gpuNodes, sessionMetrics } = options
  const query = (args: readonly string[]) =>
    queryCluster(cluster, { program: 'kubectl', args: [...args, '--request-timeout=30s'], signal })
  const [nodes, pods, releases] = await Promise.all([
    query(['get', 'nodes', '--output', 'json']),
    query(['get', 'pods', '--all-namespaces', '--output', 'json']),
    queryCluster(cluster, {
      program: 'helm',
      args: ['list', '--all-namespaces', '--output', 'json'],
      signal,
    }),
  ])
  const findings = clusterFindings({ nodes, pods, releases }, options)
  if (sessionMetrics && nodes !== undefined) {
    const path = prometheusPath(await query(['get', 'services', '--all-namespaces', '--output', 'json']))
    const metrics = (text: string) =>
      path === undefined ? undefined : query(['get', '--raw', `${path}?query=${encodeURIComponent(text)}`])
    const [success, age] = await Promise.all([metrics(sessionQueries.success), metrics(sessionQueries.age)])
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
      'the cluster has problems:',
      ...errors.slice(0, shownFindings).map(({ what }) => `  ${what}`),
      ...(more > 0 ? [`  and ${more} more`] : []),
    ],
    {
      item: `${errors.length} ${errors.length === 1 ? 'finding' : 'findings'}`,
      next: [...new Set(errors.map(({ next }) => next))].join('; '),
    },
  )
}
