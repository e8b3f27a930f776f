import { describe, expect, it } from 'vitest'
import type { MachineFacts } from '../../../src/install/preflight/facts.ts'
import { siteFindings } from '../../../src/install/preflight/site-findings.ts'

const good: MachineFacts = {
  disks: {},
  ports: [],
  running: [],
  sockets: [],
  nameservers: [],
  proxies: [],
  noProxy: [],
  hostname: 'm',
}

describe('siteFindings', () => {
  const machine = (name: string, facts: Partial<MachineFacts>) => ({ name, facts: { ...good, ...facts } })

  it('reports copies, by their identity and by their name', () => {
    const found = siteFindings([
      machine('a', { machineId: '1', hostname: 'x' }),
      machine('b', { machineId: '1', hostname: 'y' }),
      machine('c', { machineId: '2', hostname: 'y' }),
    ])
    expect(found.map(({ machine, level, what }) => [machine, level, what])).toEqual([
      ['a', 'error', 'has the same /etc/machine-id as b'],
      ['b', 'error', 'has the same /etc/machine-id as a'],
      ['b', 'error', 'has the same host name (y) as c'],
      ['c', 'error', 'has the same host name (y) as b'],
    ])
  })

  it('reports nothing for machines that do not answer, or differ', () => {
    const silent = { machineId: undefined!, hostname: undefined! }
    expect(siteFindings([machine('a', silent), machine('b', silent)])).toEqual([])
    expect(siteFindings([machine('a', { hostname: 'a' }), machine('b', { hostname: 'b' })])).toEqual([])
  })
})
