import { describe, expect, it } from 'vitest'
import { parseClusterNodes } from '../../src/probe/cluster-nodes.ts'

describe('parseClusterNodes', () => {
  const node = {
    metadata: { name: 'a', labels: {} },
    status: {
      conditions: [
        { type: 'MemoryPressure', status: 'False' },
        { type: 'Ready', status: 'True', message: 'kubelet is ready' },
      ],
      allocatable: { cpu: '4', 'nvidia.com/gpu': '8' },
      nodeInfo: { kubeletVersion: 'v1.28.6', containerRuntimeVersion: 'containerd://1.7.13' },
    },
  }

  it('reads nodes', () => {
    const bare = { metadata: { name: 'b' }, status: { nodeInfo: { kubeletVersion: 'v1.28.5' } } }
    expect(parseClusterNodes({ kind: 'List', items: [node, bare] })).toEqual([
      {
        name: 'a',
        ready: true,
        kubeletVersion: 'v1.28.6',
        containerRuntimeVersion: 'containerd://1.7.13',
        allocatable: { cpu: '4', 'nvidia.com/gpu': '8' },
      },
      { name: 'b', ready: false, kubeletVersion: 'v1.28.5', allocatable: {} },
    ])
  })

  it.each([undefined, null, {}, { items: {} }, { items: [{}] }, 'text'])('refuses %j', answer => {
    expect(parseClusterNodes(answer)).toBeUndefined()
  })
})
