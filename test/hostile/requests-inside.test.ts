import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const canUnshare = spawnSync('unshare', ['--net', '--mount', 'ip', 'link', 'set', 'lo', 'up']).status === 0

/** 203.0.113.10 counts as public, as all networks for documentation do. */
const hosts = `127.0.0.1 localhost
203.0.113.10 public.example
10.9.8.7 inside.example
10.9.8.8 sibling.example
169.254.169.254 metadata.example
127.0.0.1 localhost.example
`
const addresses = ['203.0.113.10', '10.9.8.7', '10.9.8.8', '169.254.169.254']

describe.skipIf(!canUnshare)('requests that an upstream would have this host send (needs unshare)', () => {
  let folder: string
  let results: Record<string, { code: string; hits: string[] }>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airgap-inside-'))
    await writeFile(join(folder, 'hosts'), hosts)
    const script = [
      `mount --bind ${join(folder, 'hosts')} /etc/hosts`,
      'ip link set lo up',
      ...addresses.map(address => `ip address add ${address}/32 dev lo`),
      `exec "$@"`,
    ].join(' && ')
    const child = spawn(
      'unshare',
      [
        ...['--net', '--mount', 'sh', '-c', script, 'sh'],
        ...[process.execPath, resolve(import.meta.dirname, 'requests-inside-child.ts'), folder],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_NO_WARNINGS: '1' } },
    )
    let output = ''
    child.stdout.on('data', part => {
      output += part
    })
    await new Promise(done => child.once('close', done))
    results = JSON.parse(output)
  }, 240_000)
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each([
    'index of charts → metadata',
    'index of charts → loopback',
    'index of charts → private',
    'page of wheels → metadata',
    'redirect → metadata',
    'redirect → redirect → private',
    'redirect of git → private',
    'list of mirrors → private',
    'submodule → private',
  ])('%s: refused before anything is sent', name => {
    expect(results[name]).toEqual({ code: 'REDIRECT_REFUSED', hits: [] })
  })

  it('a link to an address that NAT64 carries inside is left out', () => {
    expect(results['page of wheels → NAT64']).toMatchObject({ hits: [] })
    expect(results['page of wheels → NAT64']?.code).not.toBe('done')
  })

  it.each([
    ['the person’s own private server', ['private/own']],
    ['the person’s own loopback', ['loopback/own']],
    ['a remapped source', ['loopback/own']],
  ])('%s is allowed', (name, hits) => {
    expect(results[name]?.code).toBe('done')
    expect([...new Set(results[name]?.hits)]).toEqual(hits)
  })

  it('a private index may name another private address', () => {
    expect(results['private index → private']?.hits).toEqual([
      'private/charts/index.yaml',
      'sibling/app-1.0.0.tgz',
    ])
  })
})
