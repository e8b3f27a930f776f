import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, start, testSite } from './support.ts'

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
