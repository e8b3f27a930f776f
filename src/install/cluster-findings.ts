import { z } from 'zod'
import { printableLine } from '../core/printable.ts'
import { parseClusterNodes } from '../probe/cluster-nodes.ts'

/** A problem of a cluster. This file queries nothing: answers in, findings out. */
export interface ClusterFinding {
  severity: 'error' | 'warning'
  /** printable, one line */
  what: string
  /** what the operator should do */
  next: string
  /** an error that may go away while the cluster starts */
  passing?: boolean
}

/** Answers of kubectl and helm, unchecked; undefined where there is none. */
export interface ClusterAnswers {
  /** `kubectl get nodes -o json` */
  nodes: unknown
  /** `kubectl get pods --all-namespaces -o json` */
  pods: unknown
  /** `helm list --all-namespaces -o json`: the namespaces of the platform; without an answer, all namespaces are */
  releases?: unknown
}

export interface Expectations {
  /** host:port of the site's registry */
  registry: string
  /** whether the bundle has an image of this name: containerd then pulls it from the site by its upstream name */
  carried: (reference: string) => boolean
  /** names of the nodes with GPUs */
  gpuNodes: readonly string[]
}

const conditionsSchema = z
  .array(z.object({ type: z.string(), status: z.string(), message: z.string().default('') }))
  .default([])

const containersSchema = z
  .array(z.object({ name: z.string(), image: z.string().default('') }))
  .nullish()
  .transform(list => list ?? [])

const statusesSchema = z
  .array(
    z.object({
      name: z.string(),
      ready: z.boolean().default(false),
      state: z
        .object({
          waiting: z.object({ reason: z.string().default(''), message: z.string().default('') }).optional(),
        })
        .default({}),
    }),
  )
  .nullish()
  .transform(list => list ?? [])

const podsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({
        namespace: z.string(),
        name: z.string(),
        deletionTimestamp: z.string().optional(),
        ownerReferences: z.array(z.object({ kind: z.string() })).default([]),
      }),
      spec: z.object({
        containers: containersSchema,
        initContainers: containersSchema,
        ephemeralContainers: containersSchema,
      }),
      status: z.object({
        phase: z.string().default('Unknown'),
        reason: z.string().default(''),
        message: z.string().default(''),
        conditions: conditionsSchema,
        containerStatuses: statusesSchema,
        initContainerStatuses: statusesSchema,
      }),
    }),
  ),
})
type Pod = z.infer<typeof podsSchema>['items'][number]

const releasesSchema = z.array(
  z.object({
    name: z.string(),
    namespace: z.string(),
    status: z.string().default(''),
    chart: z.string().default(''),
  }),
)

const servicesSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({
        namespace: z.string(),
        name: z.string(),
        labels: z.record(z.string(), z.string()).default({}),
      }),
      spec: z.object({ ports: z.array(z.object({ port: z.number() })).default([]) }),
    }),
  ),
})

const queriedSchema = z.object({
  status: z.literal('success'),
  data: z.object({
    resultType: z.literal('vector'),
    result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })),
  }),
})

/** A node as `status` shows it. */
export interface NodeState {
  name: string
  ready: boolean
  version: string
}

export interface ReleaseState {
  name: string
  namespace: string
  status: string
  chart: string
}

/** Parses `kubectl get nodes -o json`; undefined if it is something else. */
export function nodeStates(answer: unknown): NodeState[] | undefined {
  return parseClusterNodes(answer)?.map(({ name, ready, kubeletVersion }) => ({
    name: plain(name),
    ready,
    version: plain(kubeletVersion),
  }))
}

/** Parses `helm list -o json`; undefined if it is something else. */
export function releaseStates(answer: unknown): ReleaseState[] | undefined {
  const parsed = releasesSchema.safeParse(answer)
  if (!parsed.success) return undefined
  return parsed.data.map(({ name, namespace, status, chart }) => ({
    name: plain(name),
    namespace: plain(namespace),
    status: plain(status),
    chart: plain(chart),
  }))
}

/** Returns all problems of the nodes and pods of a cluster. */
export function clusterFindings(
  { nodes, pods, releases }: ClusterAnswers,
  expected: Expectations,
): ClusterFinding[] {
  const namespaces = releaseStates(releases)?.map(({ namespace }) => namespace)
  return [...nodeFindings(nodes, expected), ...podFindings(pods, { expected, namespaces })]
}

function nodeFindings(answer: unknown, { gpuNodes }: Expectations): ClusterFinding[] {
  const nodes = parseClusterNodes(answer)
  if (nodes === undefined) return [noAnswer('kubectl get nodes', answer)]
  const findings: ClusterFinding[] = []
  if (nodes.length === 0)
    findings.push({
      severity: 'error',
      what: 'the cluster has no nodes',
      next: 'check that the kubeconfig is that of this cluster: kubectl config view',
    })
  for (const { name } of nodes.filter(({ ready }) => !ready))
    findings.push({
      severity: 'error',
      what: `node ${plain(name)} is not ready`,
      next: `see kubectl describe node ${plain(name)}, and journalctl -u kubelet -u containerd on the node`,
      passing: true,
    })
  const byName = new Map(nodes.map(node => [node.name, node]))
  for (const name of gpuNodes) {
    const node = byName.get(name)
    if (node !== undefined && Object.entries(node.allocatable).some(isGpu)) continue
    findings.push({
      severity: 'warning',
      what:
        node === undefined
          ? `GPU node ${plain(name)} is not a node of the cluster`
          : `GPU node ${plain(name)} has no allocatable nvidia.com/gpu`,
      next: 'see kubectl get pods -n gpu-operator, and nvidia-smi on the node; the driver may need a reboot',
    })
  }
  return findings
}

/** Whole GPUs, shared ones, and parts of one (MIG). */
function isGpu([resource, amount]: [string, string | number]): boolean {
  return /^nvidia\.com\/(?:gpu|mig-)/.test(resource) && Number(amount) > 0
}

function podFindings(
  answer: unknown,
  { expected, namespaces }: { expected: Expectations; namespaces: string[] | undefined },
): ClusterFinding[] {
  const parsed = podsSchema.safeParse(answer)
  if (!parsed.success) return [noAnswer('kubectl get pods', answer)]
  const look = (pods: Pod[]) => [...foreignImages(pods, expected), ...pods.flatMap(stateOf)]
  const ours = (pod: Pod) =>
    namespaces === undefined || ['kube-system', ...namespaces].includes(pod.metadata.namespace)
  const { items } = parsed.data
  return [
    ...look(items.filter(ours)),
    // users run their own images, and their pods may fail
    ...look(items.filter(pod => !ours(pod))).map(
      ({ what, next }): ClusterFinding => ({ severity: 'warning', what, next }),
    ),
  ]
}

/** One finding per image: thousands of pods may share it. */
function foreignImages(pods: readonly Pod[], { registry, carried }: Expectations): ClusterFinding[] {
  const foreign = new Map<string, string[]>()
  for (const { metadata, spec } of pods) {
    for (const { name, image } of [...spec.initContainers, ...spec.containers, ...spec.ephemeralContainers]) {
      if (image.startsWith(`${registry}/`) || carried(image)) continue
      const users = foreign.get(image) ?? []
      users.push(`${plain(metadata.namespace)}/${plain(metadata.name)} (${plain(name)})`)
      foreign.set(image, users)
    }
  }
  return [...foreign].map(([image, users]) => ({
    severity: 'error' as const,
    what: `image ${image === '' ? '(none)' : plain(image)} does not come from this site: ${users.slice(0, 3).join(', ')}${users.length > 3 ? ` and ${users.length - 3} more` : ''}`,
    next: 'add the image to the manifest and rebuild the bundle, or remove the pod',
  }))
}

/** Reasons for waiting that do not go away by themselves. */
const stuck = /^(?:ErrImage|ImagePull|InvalidImage|ErrImageNeverPull|CreateContainer|RunContainer|CrashLoop)/

function stateOf({ metadata, status }: Pod): ClusterFinding[] {
  // it is being deleted
  if (metadata.deletionTimestamp !== undefined || status.phase === 'Succeeded') return []
  if (status.phase === 'Running' && isTrue(status.conditions, 'Ready')) return []
  const ofJob = metadata.ownerReferences.some(({ kind }) => kind === 'Job')
  const statuses = [...status.initContainerStatuses, ...status.containerStatuses]
  const waiting = statuses.find(one => one.state.waiting !== undefined)?.state.waiting
  const isStuck = statuses.some(one => stuck.test(one.state.waiting?.reason ?? ''))
  // a Job runs, or waits for its turn
  if (ofJob && !isStuck && status.phase !== 'Failed') return []
  const unplaced = status.conditions.find(one => one.type === 'PodScheduled' && one.status !== 'True')
  const why = [status.reason, waiting?.reason, waiting?.message, status.message, unplaced?.message].find(
    text => text,
  )
  const name = `${plain(metadata.namespace)}/${plain(metadata.name)}`
  return [
    {
      // a Job that succeeded at a later try leaves failed pods behind
      severity: ofJob && status.phase === 'Failed' ? 'warning' : 'error',
      what: `pod ${name} is ${status.phase === 'Running' ? 'not ready' : plain(status.phase)}${why ? `: ${plain(why)}` : ''}`,
      next: `see kubectl describe pod -n ${plain(metadata.namespace)} ${plain(metadata.name)}, and kubectl logs`,
      passing: true,
    },
  ]
}

/** Returns the path of Prometheus's query API below the API server; undefined if the cluster has no Prometheus. */
export function prometheusPath(services: unknown): string | undefined {
  const parsed = servicesSchema.safeParse(services)
  if (!parsed.success) return undefined
  const rank = ({ metadata: { name, labels } }: (typeof parsed.data.items)[number]) =>
    /^kube-prometheus-stack-prometheus$/.test(labels['app'] ?? '')
      ? 0
      : labels['operated-prometheus'] === 'true'
        ? 1
        : /^prometheus(?:-server)?$/.test(name)
          ? 2
          : 3
  const [best] = parsed.data.items
    .filter(one => rank(one) < 3 && isName(one.metadata.namespace) && isName(one.metadata.name))
    .sort((a, b) => rank(a) - rank(b))
  if (best === undefined) return undefined
  const ports = best.spec.ports.map(({ port }) => port)
  const port = ports.find(number => number === 9090) ?? ports[0]
  if (port === undefined || !Number.isInteger(port)) return undefined
  return `/api/v1/namespaces/${best.metadata.namespace}/services/${best.metadata.name}:${port}/proxy/api/v1/query`
}

/** It becomes part of a path that is requested. */
function isName(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(text)
}

/** Queries for the metrics that the collector of GPU sessions writes. */
export const sessionQueries = {
  success: 'gpu_session_collector_success',
  /** by the clock of Prometheus, not by ours */
  age: 'time() - gpu_session_collector_timestamp_seconds',
} as const

/** A CronJob collects every minute; some runs may take long. */
const oldestSeconds = 15 * 60

/** Returns the problems of the session metrics, from the answers of Prometheus. */
export function sessionFindings(
  answers: { success: unknown; age: unknown },
  { gpuNodes }: { gpuNodes: readonly string[] },
): ClusterFinding[] {
  const warn = (what: string, next: string): ClusterFinding[] => [{ severity: 'warning', what, next }]
  const look =
    'see kubectl get pods -A -l app.kubernetes.io/name=gpu-session-monitoring, and run `offline-deploy verify --cluster` again in some minutes'
  const success = valuesOf(answers.success)
  if (success === undefined)
    return warn('Prometheus does not answer: the metrics of GPU sessions are not checked', look)
  if (success.length === 0) return warn('the metrics of GPU sessions have not arrived in Prometheus', look)
  const findings: ClusterFinding[] = []
  const failed = success.filter(value => value !== 1).length
  if (failed > 0)
    findings.push(
      ...warn(
        `nvidia-smi fails on ${failed} of ${success.length} nodes that send session metrics`,
        'run nvidia-smi on these nodes; the driver may need a reboot',
      ),
    )
  if (success.length < gpuNodes.length)
    findings.push(...warn(`${success.length} of ${gpuNodes.length} GPU nodes send session metrics`, look))
  const old = (valuesOf(answers.age) ?? []).filter(value => !(value <= oldestSeconds)).length
  if (old > 0)
    findings.push(
      ...warn(`the session metrics of ${old} nodes are older than ${oldestSeconds / 60} minutes`, look),
    )
  return findings
}

function valuesOf(answer: unknown): number[] | undefined {
  const parsed = queriedSchema.safeParse(answer)
  return parsed.success ? parsed.data.data.result.map(({ value }) => Number(value[1])) : undefined
}

function isTrue(conditions: readonly { type: string; status: string }[], type: string): boolean {
  return conditions.some(one => one.type === type && one.status === 'True')
}

function noAnswer(command: string, answer: unknown): ClusterFinding {
  return {
    severity: 'error',
    what:
      answer === undefined
        ? `the cluster does not answer: ${command}`
        : `the output of ${command} is not a list of objects`,
    next: 'run it by hand with the kubeconfig of the site',
    passing: answer === undefined,
  }
}

/** Names come from the cluster, where other people create objects. */
function plain(text: string): string {
  return printableLine(text, 300)
}
