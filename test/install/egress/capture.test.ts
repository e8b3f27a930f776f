import { spawn, spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isRoot, missingPrograms, run } from '../../../scripts/lib/run.ts'
import { attributeEgress } from '../../../src/install/egress/attribute.ts'
import { captureScript } from '../../../src/install/egress/capture-script.ts'

const lacking = [...(isRoot ? [] : ['root']), ...missingPrograms(['python3', 'ip'])]

/** Sends a DNS query, begins a TCP connection, pings, and does the same to what is inside. */
const sender = String.raw`
import socket, sys, time
outside, site = sys.argv[1:]
query = b'\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01'
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for target in (outside, site, '10.50.1.1'):
    datagrams.sendto(query, (target, 53))
datagrams.sendto(b'tunnel', (outside, 4789))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
six.sendto(b'x', ('2001:db8::1', 123))
for target, port in ((outside, 443), (site, 9)):
    stream = socket.socket()
    stream.settimeout(1)
    try:
        stream.connect((target, port))
    except OSError:
        pass
time.sleep(1)
`

describe.skipIf(lacking.length > 0)(
  `who tries to leave (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const [name, outer, inner] = [`egress-${process.pid}`, `eo-${process.pid}`, `ei-${process.pid}`]
    const site = '10.99.0.1'

    // a machine whose router forwards nothing; the closed network of other tests drops packets before they can be seen
    beforeAll(async () => {
      await run(['ip', 'netns', 'add', name])
      await run(['ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', name])
      await run(['ip', 'address', 'add', `${site}/24`, 'dev', outer])
      await run(['ip', 'link', 'set', outer, 'up'])
      for (const words of [
        ['address', 'add', '10.99.0.2/24', 'dev', inner],
        ['-6', 'address', 'add', 'fd99::2/64', 'dev', inner, 'nodad'],
        ['link', 'set', inner, 'up'],
        ['route', 'add', 'default', 'via', site],
        ['-6', 'route', 'add', 'default', 'via', 'fd99::1'],
        ['-6', 'neighbour', 'add', 'fd99::1', 'lladdr', '02:00:00:00:00:01', 'dev', inner],
      ])
        await run(['ip', '-n', name, ...words])
    })
    afterAll(() => run(['ip', 'netns', 'delete', name]))

    it('is found by process and destination, IPv4 and IPv6; what is inside is not reported', async () => {
      const words = (command: string[]) => ['ip', 'netns', 'exec', name, ...command] as [string, ...string[]]
      const [program, ...args] = words(['python3', '-c', captureScript, '5', '10.50.0.0/16'])
      const capture = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      let said = ''
      capture.stdout.setEncoding('utf8').on('data', text => {
        said += text
      })
      const ended = new Promise(done => capture.once('close', done))
      await new Promise(go => setTimeout(go, 1500))
      const [sends, ...how] = words(['python3', '-c', sender, '192.0.2.1', site])
      expect(spawnSync(sends, how, { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
      await ended
      const captured = JSON.parse(said)
      expect(captured.full).toBe(false)
      const egress = attributeEgress(new Map([['node', captured]]), undefined)
      const one = { node: 'node', pod: null, process: 'python3' }
      expect(egress.map(({ packets, ...rest }) => rest).sort((a, b) => a.port - b.port)).toEqual([
        { ...one, protocol: 'udp', destination: '192.0.2.1', port: 53, queries: ['example.com'] },
        { ...one, protocol: 'udp', destination: '2001:db8::1', port: 123, queries: [] },
        { ...one, protocol: 'tcp', destination: '192.0.2.1', port: 443, queries: [] },
      ])
    })
  },
)

describe('attributeEgress', () => {
  const attempt = {
    protocol: 'udp' as const,
    source: '10.233.64.5',
    destination: '192.0.2.1',
    port: 53,
    process: 'coredns',
    podUid: null,
    query: 'a.example',
    packets: 2,
  }
  const pods = {
    items: [
      {
        metadata: { namespace: 'kube-system', name: 'coredns-1', uid: 'u1' },
        status: { podIPs: [{ ip: '10.233.64.5' }] },
      },
      {
        metadata: { namespace: 'kube-system', name: 'proxy', uid: 'u2' },
        spec: { hostNetwork: true },
        status: { podIPs: [{ ip: '10.0.0.1' }] },
      },
    ],
  }

  it('names pods by address and by control group, merges queries, and leaves the forwarded copy out', () => {
    const captured = {
      attempts: [
        attempt,
        { ...attempt, query: 'b.example', packets: 1 },
        { ...attempt, source: '10.0.0.1', process: null, packets: 3 },
        { ...attempt, source: '10.0.0.1', process: 'kube-proxy', podUid: 'u2', port: 443, query: null },
        { ...attempt, source: '10.0.0.1', process: 'chronyd', port: 123, query: null },
      ],
      full: false,
    }
    expect(attributeEgress(new Map([['n', captured]]), pods)).toEqual([
      expect.objectContaining({
        pod: 'kube-system/coredns-1',
        queries: ['a.example', 'b.example'],
        packets: 3,
      }),
      expect.objectContaining({ pod: 'kube-system/proxy', process: 'kube-proxy', port: 443 }),
      expect.objectContaining({ pod: null, process: 'chronyd', port: 123 }),
    ])
  })

  it('names no pod where kubectl did not answer', () => {
    const captured = new Map([['n', { attempts: [attempt], full: false }]])
    expect(attributeEgress(captured, undefined)).toEqual([expect.objectContaining({ pod: null })])
  })
})
