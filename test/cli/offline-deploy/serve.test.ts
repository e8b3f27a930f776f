import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, run, start, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

async function sendGarbage(port: number): Promise<void> {
  await new Promise<void>(done => {
    const socket = connect(port, '127.0.0.1', () => socket.write('GARBAGE\r\n\r\n'))
    socket.on('error', () => done())
    socket.on('close', () => done())
    socket.resume()
  })
}

describe('offline-deploy serve', () => {
  it('counts malformed requests instead of logging each of them, in its own log file', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const log = join(site.work, 'own.log')
    const serving = start(['serve', ...site.serving, '--log-file', log])
    await serving.said('stop with Ctrl-C')
    const ports = [site.registry, new URL(site.http).host].map(address => Number(address.split(':')[1]))
    for (let i = 0; i < 20; i++)
      await Promise.all(Array.from({ length: 20 }, (_, k) => sendGarbage(ports[k % 2]!)))
    const lines = async () => (await readFile(log, 'utf8')).trim().split('\n')
    expect(await lines()).toHaveLength(1)
    serving.child.kill('SIGTERM')
    expect((await serving.ended).stderr).not.toContain('Parse Error')
    const [first, last, ...others] = (await lines()).map(line => JSON.parse(line))
    expect(first).toMatchObject({ status: 400, error: expect.stringContaining('Parse Error') })
    expect(last).toMatchObject({ status: 400, count: 399 })
    expect(others).toEqual([])
  })
})

describe('the servers of a site', () => {
  it('are not mistaken for a program that repeats everything that they once said on their ports', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    const paths = ['/clients/site.json', '/files/get.example/tool.txt', '/v2/library/busybox/manifests/1.36']
    const said = new Map<string, Buffer>()
    for (const path of paths) {
      const answer = await fetch(`${path.startsWith('/v2') ? `http://${site.registry}` : site.http}${path}`)
      said.set(path, Buffer.from(await answer.arrayBuffer()))
    }
    expect(await run(['stop', '--site', site.site])).toMatchObject({ code: 0 })
    const fakes = [site.registry, new URL(site.http).host].map(address => {
      const fake = createServer((request, answer) =>
        answer.end(said.get(request.url!.replace(/\?.*/, '')) ?? 'anything'),
      )
      return fake.listen(Number(address.split(':')[1]), '127.0.0.1')
    })
    try {
      for (const part of [[], ['--only', 'check']])
        expect(await run(['apply', '--yes', ...site.options, ...part])).toMatchObject({
          code: 7,
          stderr: expect.stringMatching(/error PORT_IN_USE: /),
        })
      const status = await run(['status', '--site', site.site])
      expect(status.stdout).toContain(
        `servers  another program answers at http://${site.registry}, ${site.http}: `,
      )
      expect(status.stdout).toContain('pending  serve')
      expect(await run(['status', '--site', site.site, '--exit-code'])).toMatchObject({ code: 7 })
    } finally {
      for (const fake of fakes) fake.close().closeAllConnections()
    }
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    expect(await run(['status', '--site', site.site, '--exit-code'])).toMatchObject({ code: 0 })
  })
})
