import { describe, expect, it } from 'vitest'
import { limitedNodes } from '../../../src/install/preflight/limit.ts'
import type { SiteNode } from '../../../src/inventory/schema.ts'

describe('limitedNodes', () => {
  const nodes: SiteNode[] = [
    { name: 'a', address: '10.0.0.1', roles: ['control-plane'] },
    { name: 'b', address: '10.0.0.2', roles: ['worker', 'gpu'] },
    { name: 'c', address: '10.0.0.3', roles: ['nfs'] },
  ]
  it.each([
    [undefined, ['a', 'b', 'c']],
    ['all', ['a', 'b', 'c']],
    ['b,c', ['b', 'c']],
    ['k8s_cluster', ['a', 'b']],
    ['all,!gpu_node', ['a', 'c']],
    ['etcd,nfs_server', ['a', 'c']],
  ])('%s', (limit, names) => {
    expect(limitedNodes(nodes, limit).map(({ name }) => name)).toEqual(names)
  })
  it.each(['d', 'a,!d', 'a,!all', 'constructor', ''])('%j is refused', limit => {
    expect(() => limitedNodes(nodes, limit)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})
