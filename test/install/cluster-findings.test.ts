import { describe, expect, it } from 'vitest'
import {
  clusterFindings,
  nodeStates,
  prometheusPath,
  releaseStates,
  sessionFindings,
} from '../../src/install/cluster-findings.ts'

const registry = '10.0.0.5:35000'
const expected = {
  registry,
  carried: (name: string) => name === 'registry.k8s.io/pause:3.9',
  gpuNodes: ['gpu-1'],
}

const condition = (type: string, status = 'True') => ({ type, status, reason: 'KubeletReady' })
const node = (
  name: string,
  options: { ready?: string; allocatable?: Record<string, string | number> } = {},
) => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': name } },
  spec: { podCIDR: '10.233.64.0/24' },
  status: {
    allocatable: { cpu: '63900m', ...(options.allocatable ?? { 'nvidia.com/gpu': '8' }) },
    conditions: [condition('MemoryPressure', 'False'), condition('Ready', options.ready)],
    nodeInfo: { kubeletVersion: 'v1.28.6', containerRuntimeVersion: 'containerd://1.7.13' },
  },
})
interface PodOptions {
  image?: string
  init?: string
  ephemeral?: string
  phase?: string
  ready?: string
  owner?: string
  deleted?: boolean
  waiting?: { reason: string; message?: string }
  name?: string
}
const pod = (options: PodOptions = {}) => {
  const {
    image = `${registry}/astrago/core:1`,
    phase = 'Running',
    ready = 'True',
    name = 'core-5d9',
  } = options
  const container = (of: string) => ({ name: 'main', image: of, resources: {} })
  return {
    metadata: {
      name,
      namespace: 'astrago',
      ...(options.deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
      ...(options.owner ? { ownerReferences: [{ kind: options.owner, name: 'x', controller: true }] } : {}),
    },
    spec: {
      containers: [container(image)],
      ...(options.init ? { initContainers: [container(options.init)] } : {}),
      ...(options.ephemeral ? { ephemeralContainers: [container(options.ephemeral)] } : {}),
    },
    status: {
      phase,
      conditions: [condition('PodScheduled'), condition('Ready', ready)],
      containerStatuses: [
        { name: 'main', ready: ready === 'True', state: options.waiting ? { waiting: options.waiting } : {} },
      ],
    },
  }
}
const list = (...items: object[]) => ({ apiVersion: 'v1', kind: 'List', items })
const told = (answers: { nodes?: unknown; pods?: unknown }) =>
  clusterFindings({ nodes: list(node('gpu-1')), pods: list(pod()), ...answers }, expected).map(
    ({ severity, what }) => `${severity}: ${what}`,
  )

describe('clusterFindings', () => {
  it('reports pods of users as warnings', () => {
    const own = pod({ image: 'docker.io/user/own:1', ready: 'False' })
    const releases = [{ name: 'harbor', namespace: 'harbor' }]
    const severities = clusterFindings(
      { nodes: list(node('gpu-1')), pods: list(own), releases },
      expected,
    ).map(({ severity }) => severity)
    expect(severities).not.toContain('error')
    expect(severities).toContain('warning')
  })

  it('reports nothing about a healthy cluster', () => {
    expect(told({})).toEqual([])
  })

  it.each<[string, PodOptions, string[]]>([
    [
      'an image of another registry',
      { image: 'docker.io/library/nginx:1' },
      ['error: image docker.io/library/nginx:1 does not come from this site: astrago/core-5d9 (main)'],
    ],
    [
      'the same in an init container',
      { init: 'nginx' },
      ['error: image nginx does not come from this site: astrago/core-5d9 (main)'],
    ],
    [
      'the same in one for debugging',
      { ephemeral: 'busybox' },
      ['error: image busybox does not come from this site: astrago/core-5d9 (main)'],
    ],
    ['a name of the bundle, through a mirror', { image: 'registry.k8s.io/pause:3.9' }, []],
    [
      'a registry whose name only begins like the site’s',
      { image: `${registry}0/a:1` },
      [`error: image ${registry}0/a:1 does not come from this site: astrago/core-5d9 (main)`],
    ],
    [
      'no image',
      { image: '' },
      ['error: image (none) does not come from this site: astrago/core-5d9 (main)'],
    ],
    ['not ready', { ready: 'False' }, ['error: pod astrago/core-5d9 is not ready']],
    [
      'a loop',
      { ready: 'False', waiting: { reason: 'CrashLoopBackOff' } },
      ['error: pod astrago/core-5d9 is not ready: CrashLoopBackOff'],
    ],
    ['not placed', { phase: 'Pending', ready: 'False' }, ['error: pod astrago/core-5d9 is Pending']],
    ['done', { phase: 'Succeeded', ready: 'False', owner: 'Job' }, []],
    ['a task that runs', { ready: 'False', owner: 'Job' }, []],
    [
      'a task that waits for its turn',
      { phase: 'Pending', ready: 'False', owner: 'Job', waiting: { reason: 'ContainerCreating' } },
      [],
    ],
    [
      'a task whose image does not come',
      { phase: 'Pending', ready: 'False', owner: 'Job', waiting: { reason: 'ImagePullBackOff' } },
      ['error: pod astrago/core-5d9 is Pending: ImagePullBackOff'],
    ],
    [
      'a try of a task that failed',
      { phase: 'Failed', ready: 'False', owner: 'Job' },
      ['warning: pod astrago/core-5d9 is Failed'],
    ],
    [
      'a pod that failed',
      { phase: 'Failed', ready: 'False', owner: 'ReplicaSet' },
      ['error: pod astrago/core-5d9 is Failed'],
    ],
    ['one on its way out', { phase: 'Running', ready: 'False', deleted: true }, []],
    [
      'a name that a terminal would obey',
      { ready: 'False', name: 'a\u001b[2J\nb\u202ec' },
      ['error: pod astrago/a\ufffd[2J b\ufffdc is not ready'],
    ],
  ])('%s', (_what, options, findings) => {
    expect(told({ pods: list(pod(options)) })).toEqual(findings)
  })

  it('reports why a pod is not scheduled', () => {
    const waits = pod({ phase: 'Pending', ready: 'False' })
    const message = '0/2 nodes are available: 2 Insufficient nvidia.com/gpu.'
    waits.status.conditions = [Object.assign(condition('PodScheduled', 'False'), { message })]
    expect(told({ pods: list(waits) })).toEqual([
      'error: pod astrago/core-5d9 is Pending: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu.',
    ])
  })

  it('reports an image once, however many pods use it', () => {
    const pods = Array.from({ length: 1000 }, (_, i) => pod({ image: 'evil.example/a:1', name: `p${i}` }))
    expect(told({ pods: list(...pods) })).toEqual([
      'error: image evil.example/a:1 does not come from this site: astrago/p0 (main), astrago/p1 (main), astrago/p2 (main) and 997 more',
    ])
  })

  it.each<[string, object[], string[]]>([
    [
      'no node',
      [],
      ['error: the cluster has no nodes', 'warning: GPU node gpu-1 is not a node of the cluster'],
    ],
    ['a node that is not ready', [node('gpu-1', { ready: 'Unknown' })], ['error: node gpu-1 is not ready']],
    [
      'no GPU',
      [node('gpu-1', { allocatable: {} })],
      ['warning: GPU node gpu-1 has no allocatable nvidia.com/gpu'],
    ],
    [
      'none left',
      [node('gpu-1', { allocatable: { 'nvidia.com/gpu': '0' } })],
      ['warning: GPU node gpu-1 has no allocatable nvidia.com/gpu'],
    ],
    [
      'parts of one',
      [node('gpu-1', { allocatable: { 'nvidia.com/gpu': '0', 'nvidia.com/mig-1g.10gb': '7' } })],
      [],
    ],
    ['shared', [node('gpu-1', { allocatable: { 'nvidia.com/gpu.shared': 4 } })], []],
  ])('%s', (_what, nodes, findings) => {
    expect(told({ nodes: list(...nodes) })).toEqual(findings)
  })

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'the cluster does not answer: kubectl get pods'],
    ['a text', 'Unauthorized', 'the output of kubectl get pods is not a list of objects'],
    ['null', null, 'the output of kubectl get pods is not a list of objects'],
    [
      'no items',
      { kind: 'Status', status: 'Failure' },
      'the output of kubectl get pods is not a list of objects',
    ],
    ['items that are none', { items: [1] }, 'the output of kubectl get pods is not a list of objects'],
    [
      'names that are none',
      { items: [{ ...pod(), metadata: { name: {} } }] },
      'the output of kubectl get pods is not a list of objects',
    ],
  ])('reports an invalid answer: %s', (_what, pods, finding) => {
    expect(told({ pods })).toEqual([`error: ${finding}`])
  })
})

describe('what status shows', () => {
  it('is nodes and releases', () => {
    expect(nodeStates(list(node('a'), node('b', { ready: 'False' })))).toEqual([
      { name: 'a', ready: true, version: 'v1.28.6' },
      { name: 'b', ready: false, version: 'v1.28.6' },
    ])
    const release = {
      name: 'harbor',
      namespace: 'harbor',
      revision: '1',
      status: 'deployed',
      chart: 'harbor-1.14.2',
    }
    expect(releaseStates([release])).toEqual([
      { name: 'harbor', namespace: 'harbor', status: 'deployed', chart: 'harbor-1.14.2' },
    ])
    expect(nodeStates('no')).toBeUndefined()
    expect(releaseStates({})).toBeUndefined()
  })
})

describe('prometheusPath', () => {
  const service = (
    name: string,
    labels: Record<string, string>,
    ports = [9090],
    namespace = 'prometheus',
  ) => ({
    metadata: { name, namespace, labels },
    spec: { ports: ports.map(port => ({ port, protocol: 'TCP' })), clusterIP: 'None' },
  })
  const chart = service(
    'prometheus-kube-prometheus-prometheus',
    { app: 'kube-prometheus-stack-prometheus' },
    [8080, 9090],
  )
  const operated = service('prometheus-operated', { 'operated-prometheus': 'true' })
  it.each<[string, unknown, string | undefined]>([
    [
      'the chart’s own service',
      list(service('x', {}), operated, chart),
      'prometheus/services/prometheus-kube-prometheus-prometheus:9090',
    ],
    ['the operator’s', list(operated), 'prometheus/services/prometheus-operated:9090'],
    [
      'one by its name',
      list(service('prometheus-server', {}, [80])),
      'prometheus/services/prometheus-server:80',
    ],
    ['none', list(service('grafana', {})), undefined],
    [
      'a name that would leave its place in the path',
      list(service('../../secrets', { 'operated-prometheus': 'true' })),
      undefined,
    ],
    ['no ports', list(service('prometheus', {}, [])), undefined],
    ['no list', 'oops', undefined],
  ])('%s', (_what, answer, path) => {
    expect(prometheusPath(answer)).toBe(path && `/api/v1/namespaces/${path}/proxy/api/v1/query`)
  })
})

describe('sessionFindings', () => {
  const vector = (...values: string[]) => ({
    status: 'success',
    data: {
      resultType: 'vector',
      result: values.map((value, i) => ({ metric: { instance: `10.0.0.${i}:9100` }, value: [1.5, value] })),
    },
  })
  it.each<[string, unknown, unknown, RegExp[]]>([
    ['they arrive', vector('1'), vector('40'), []],
    ['none yet', vector(), vector(), [/have not arrived/]],
    ['no Prometheus', undefined, undefined, [/Prometheus does not answer/]],
    ['an error', { status: 'error', error: 'x' }, undefined, [/Prometheus does not answer/]],
    ['a driver that fails', vector('0'), vector('40'), [/nvidia-smi fails on 1 of 1/]],
    ['old ones', vector('1'), vector('4000'), [/older than 15 minutes/]],
    ['no number', vector('1'), vector('NaN'), [/older than/]],
  ])('%s', (_what, success, age, wanted) => {
    const findings = sessionFindings({ success, age }, { gpuNodes: ['gpu-1'] })
    expect(findings.every(one => one.severity === 'warning')).toBe(true)
    expect(findings.map(one => one.what)).toEqual(wanted.map(one => expect.stringMatching(one)))
  })
  it('reports GPU nodes without metrics', () => {
    const findings = sessionFindings({ success: vector('1'), age: vector('1') }, { gpuNodes: ['a', 'b'] })
    expect(findings.map(one => one.what)).toEqual(['1 of 2 GPU nodes send session metrics'])
  })
})
