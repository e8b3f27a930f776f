import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ClosedNetwork,
  networkPrograms,
  openClosedNetwork,
} from '../../scripts/lib/machines/closed-network.ts'
import { isRoot, missingPrograms, run } from '../../scripts/lib/run.ts'
import { answering } from '../../scripts/lib/upstreams/docker-registry.ts'

const lacking = [...(isRoot ? [] : ['root']), ...missingPrograms(networkPrograms)]

describe.skipIf(lacking.length > 0)(
  `a closed network (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    let network: ClosedNetwork

    beforeAll(async () => {
      network = await openClosedNetwork()
    })

    afterAll(async () => {
      await network?.close()
    })

    /** Runs JavaScript on a host of the network. */
    const onNode = (script: string) => run(network.node.inside([process.execPath, '-e', script]))

    it('connects its two hosts, and does not count their traffic', async () => {
      const script =
        "require('http').createServer((q, r) => r.end('from the site')).listen(8080, '10.77.0.1')"
      const [program, ...args] = network.site.inside([process.execPath, '-e', script])
      const server = spawn(program!, args, { stdio: 'ignore' })
      try {
        const ask = `
        const end = Date.now() + 10000
        const go = () => fetch('http://${network.site.address}:8080').then(a => a.text()).then(console.log)
          .catch(e => Date.now() > end ? Promise.reject(e) : new Promise(t => setTimeout(t, 50)).then(go))
        go()`
        expect(await onNode(ask)).toBe('from the site\n')
        expect(await network.node.received()).toBeGreaterThan(0)
        expect(await network.escapeAttempts()).toBe(0)
      } finally {
        server.kill('SIGKILL')
      }
    })

    it.each([
      ['a datagram', "require('dgram').createSocket('udp4').send('x', 9, '192.0.2.1', () => process.exit())"],
      [
        'an IPv6 datagram',
        "require('dgram').createSocket('udp6').send('x', 9, '2001:db8::1', () => process.exit())",
      ],
      [
        'a connection',
        "require('net').connect(443, '198.51.100.1').on('error', () => {}); setTimeout(process.exit, 200)",
      ],
      ['a DNS lookup', "require('dns').resolve4('example.com', () => {}); setTimeout(process.exit, 300)"],
    ])('counts %s that tries to leave', async (_what, script) => {
      const before = await network.escapeAttempts()
      await onNode(script)
      expect(await network.escapeAttempts()).toBeGreaterThan(before)
    })

    it('cannot reach the loopback of the host', async () => {
      const server = spawn(process.execPath, [
        '-e',
        "require('http').createServer((q, r) => r.end()).listen(0, '127.0.0.1', function () { console.log(this.address().port) })",
      ])
      try {
        const port = await new Promise<number>(done => server.stdout.once('data', text => done(Number(text))))
        const url = `http://127.0.0.1:${port}`
        await answering(url)
        expect(
          await onNode(`fetch('${url}').then(() => console.log('reached'), () => console.log('refused'))`),
        ).toBe('refused\n')
      } finally {
        server.kill('SIGKILL')
      }
    })

    it('ends its processes and leaves nothing behind when it is closed, and can be closed twice', async () => {
      const other = await openClosedNetwork()
      const [program, ...args] = other.site.inside(['sleep', '600'])
      const child = spawn(program!, args, { stdio: 'ignore' })
      const ended = new Promise(done => child.once('close', (_code, signal) => done(signal)))
      await expect.poll(() => run(['ip', 'netns', 'pids', other.site.namespace])).not.toBe('')
      await other.close()
      await other.close()
      expect(await ended).toBe('SIGKILL')
      expect(await run(['ip', 'netns', 'list'])).not.toContain(other.site.namespace)
      expect(existsSync(`/etc/netns/${other.site.namespace}`)).toBe(false)
      // the first network still exists
      expect(await network.escapeAttempts()).toBeGreaterThan(0)
    })
  },
)
