import { describe, expect, it } from 'vitest'
import { type HostFacts, hostFindings } from '../../../src/install/preflight/host-findings.ts'

const GiB = 1 << 30

describe('hostFindings', () => {
  const host: HostFacts = {
    folder: '/opt/site',
    free: 10 * GiB,
    needed: 2 * GiB,
    python: { version: '3.11.2' },
    ssh: true,
    sshpass: undefined,
    privateKey: { path: '/k', state: 'good' },
    ports: [
      { port: 35_000, listen: '0.0.0.0', state: 'ours' },
      { port: 8080, listen: '0.0.0.0', state: 'free' },
    ],
  }
  const port = (state: HostFacts['ports'][number]['state']) => [{ port: 80, listen: '10.0.0.9', state }]

  it('reports nothing for a good host', () => {
    expect(hostFindings(host)).toEqual([])
    expect(
      hostFindings({ ...host, free: undefined, python: undefined, sshpass: true, privateKey: undefined }),
    ).toEqual([])
  })

  it.each<[string, RegExp, Partial<HostFacts>]>([
    ['no room', /1\.0 GiB free in \/opt\/site; .* need 2\.0 GiB/, { free: GiB }],
    ['no Python', /no Python 3\.11/, { python: { lacks: 'has no Python 3.11', next: 'install it' } }],
    ['no ssh', /no ssh/, { ssh: false }],
    ['no sshpass', /no sshpass/, { sshpass: false }],
    ['a port that is taken', /port 80/, { ports: port('taken') }],
    ['a port for root', /may not listen/, { ports: port('forbidden') }],
    ['an address of another', /no address 10\.0\.0\.9/, { ports: port('no address') }],
    ['no key', /\/k cannot be read/, { privateKey: { path: '/k', state: 'missing' } }],
    ['a key for all', /can be read by others/, { privateKey: { path: '/k', state: 'open to others' } }],
  ])('reports %s', (_, what, facts) => {
    expect(hostFindings({ ...host, ...facts })).toEqual([
      { machine: 'this host', level: 'error', what: expect.stringMatching(what), next: expect.any(String) },
    ])
  })
})
