import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/core/digest.ts'
import { combine, imageOf, imageSample, noise, writeBundle as writeLarge } from '../../bundle/samples.ts'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import {
  type Begun,
  begin,
  childrenOf,
  finish,
  isRefused,
  type Served,
  serve,
  socketsOf,
  until,
} from './serving-support.ts'
import { buildProgram, run, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

/** larger than all buffers between a server and a client that reads nothing */
const layer = noise(32 << 20, 7)
const layerPath = `/v2/app/blobs/${digestOf(layer)}`

async function largeSite(): Promise<TestSite> {
  const site = await testSite()
  await writeLarge(site.bundle, combine(imageSample(imageOf('registry.example/app:1', [layer]))))
  return site
}

/** The servers report that they serve once the first process does; the log has a line for each. */
async function allServe(site: TestSite, { pid }: Served): Promise<number[]> {
  const children = childrenOf(pid)
  // each new connection goes to the process with the fewest, as soon as it serves
  const used = new Set<number>()
  const kept: Begun[] = []
  while (used.size < children.length) {
    kept.push(await begin(`http://${site.registry}/v2/`))
    for (const child of children) if (socketsOf(child) > 0) used.add(child)
  }
  for (const { answer, agent } of kept) {
    answer.resume()
    agent.destroy()
  }
  await until(() => children.every(child => socketsOf(child) === 0))
  return children
}

const portOf = ({ registry }: TestSite) => Number(registry.split(':')[1])

describe('several serving processes', () => {
  it('one that is killed breaks its own downloads only, and is started again', async () => {
    const site = await largeSite()
    const log = join(site.work, 'serve.log')
    const served = await serve(site, '--processes', '2', '--log-file', log)
    const [victim, other] = (await allServe(site, served)) as [number, number]
    const downloads = await Promise.all(
      Array.from({ length: 16 }, () => begin(`http://${site.registry}${layerPath}`)),
    )
    const broken = socketsOf(victim)
    expect(broken).toBeGreaterThan(0)
    process.kill(victim, 'SIGKILL')
    const results = await Promise.all(downloads.map(finish))
    expect(results.filter(result => result === digestOf(layer))).toHaveLength(16 - broken)
    expect(results.filter(result => result === 'broken')).toHaveLength(broken)
    await until(() => childrenOf(served.pid).length === 2)
    expect(childrenOf(served.pid)).toContain(other)
    const record = async () => JSON.parse(await readFile(join(site.site, 'serving.json'), 'utf8'))
    await until(async () => (await record()).restarts === 1)
    const { lastEnd, processes, servers } = await record()
    expect(lastEnd).toMatchObject({ process: victim, reason: 'SIGKILL' })
    expect(processes).toHaveLength(2)
    expect(servers.registry.statuses['2xx']).toBeGreaterThanOrEqual(16 - broken)
    expect(childrenOf(served.pid)).not.toContain(victim)
    expect(await finish(await begin(`http://${site.registry}${layerPath}`))).toBe(digestOf(layer))
    const events = (await readFile(log, 'utf8'))
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(events).toContainEqual(expect.objectContaining({ process: victim, ended: 'SIGKILL' }))
    expect((await served.stop()).code).toBe(143)
  })

  it('end with their supervisor, even one that is killed, and leave the ports free', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', '3')
    const children = childrenOf(served.pid)
    expect(children).toHaveLength(3)
    const download = await begin(`http://${site.registry}${layerPath}`)
    served.child.kill('SIGKILL')
    await served.ended
    expect(await isRefused(portOf(site))).toBe(true)
    expect(await finish(download)).toBe('broken')
    await until(() => children.every(pid => !existsSync(`/proc/${pid}`)))
    const again = await serve(site, '--processes', '2')
    expect((await again.stop()).code).toBe(143)
  })

  it('complete answers in flight when they are stopped, and accept no new connection', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', '2', '--access-log')
    const downloads = await Promise.all(
      Array.from({ length: 4 }, () => begin(`http://${site.registry}${layerPath}`)),
    )
    const stopped = served.stop()
    await until(() => isRefused(portOf(site)))
    expect(await Promise.all(downloads.map(finish))).toEqual(Array(4).fill(digestOf(layer)))
    const { code, stderr } = await stopped
    expect(code).toBe(143)
    expect(stderr.match(/"status":200/g)).toHaveLength(4)
  })

  it('log every request in one file, and count them together', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const log = join(site.work, 'access.log')
    const served = await serve(site, '--processes', '2', '--access-log', '--log-file', log)
    const paths = Array.from({ length: 300 }, (_, i) => `/v2/none/manifests/tag-${i}`)
    for (let i = 0; i < paths.length; i += 30)
      await Promise.all(
        paths.slice(i, i + 30).map(async path => finish(await begin(`http://${site.registry}${path}`))),
      )
    const record = async () => JSON.parse(await readFile(join(site.site, 'serving.json'), 'utf8'))
    await until(async () => (await record()).servers.registry.requests === paths.length)
    const { stdout } = await run(['status', ...site.options, '-o', 'json'])
    expect(JSON.parse(stdout).servers).toMatchObject({
      process: served.pid,
      record: { restarts: 0, servers: { registry: { statuses: { '4xx': paths.length }, aborted: 0 } } },
    })
    await served.stop()
    expect(existsSync(join(site.site, 'serving.json'))).toBe(false)
    const lines = (await readFile(log, 'utf8'))
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    // `status` has requested proofs
    const logged = lines.filter(({ url }) => !url.startsWith('/.well-known/') && !url.startsWith('/clients/'))
    expect(logged.map(({ url }) => url).sort()).toEqual([...paths].sort())
    expect(new Set(logged.map(({ status }) => status))).toEqual(new Set([404]))
  })

  it('serve one signature of each index, whichever process answers', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const served = await serve(site, '--processes', '3')
    const bodies = new Set<string>()
    for (let i = 0; i < 6; i++) {
      const begun = await Promise.all(
        Array.from({ length: 6 }, () => begin(`${site.http}/debs/debian-12/dists/bookworm/InRelease`)),
      )
      for (const one of begun) expect(one.answer.statusCode).toBe(200)
      for (const result of await Promise.all(begun.map(finish))) bodies.add(result)
    }
    expect(bodies.size).toBe(1)
    await served.stop()
  })

  it('serve the file that was verified, whatever is at its path by then', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', '2')
    const other = join(site.work, 'other.tar')
    await writeBundle(other, sampleStack())
    await rename(other, site.bundle)
    const [victim] = childrenOf(served.pid)
    process.kill(victim!, 'SIGKILL')
    await until(() => childrenOf(served.pid).length === 2 && !childrenOf(served.pid).includes(victim!))
    const results = await Promise.all(
      Array.from({ length: 6 }, async () => finish(await begin(`http://${site.registry}${layerPath}`))),
    )
    expect(results).toEqual(Array(6).fill(digestOf(layer)))
    await served.stop()
  })

  it('never complete an answer with wrong bytes, whichever process sends it', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', '2')
    await allServe(site, served)
    const get = async () => {
      const begun = await begin(`http://${site.registry}${layerPath}`)
      return { status: begun.answer.statusCode, result: await finish(begun) }
    }
    const before = await Promise.all(Array.from({ length: 4 }, get))
    expect(before).toEqual(Array(4).fill({ status: 200, result: digestOf(layer) }))
    const file = await open(site.bundle, 'r+')
    await file.write(Buffer.from('damage'), 0, 6, (await file.stat()).size - (4 << 20))
    await file.close()
    for (const { status, result } of await Promise.all(Array.from({ length: 6 }, get)))
      if (status === 200) expect(result).toBe('broken')
      else expect(status).toBe(500)
    // damage that one process has met is known to both
    for (const { status } of await Promise.all(Array.from({ length: 6 }, get))) expect(status).toBe(500)
    await served.stop()
  })

  it('refuse a port on which another site is served, as one process does', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', '2')
    const second = join(site.work, 'second')
    const args = site.serving.with(site.serving.indexOf('--site') + 1, second)
    for (const count of ['1', '2'])
      expect(await run(['serve', ...args, '--processes', count])).toMatchObject({
        code: 7,
        stderr: expect.stringMatching(
          new RegExp(`error PORT_IN_USE: port ${portOf(site)} is in use[^]*process ${served.pid}`),
        ),
      })
    await served.stop()
  })

  it('are reported by an error that names the cause where they cannot serve', async () => {
    const site = await testSite()
    await mkdir(site.site, { mode: 0o700 })
    await writeBundle(site.bundle, sampleStack())
    await writeFile(join(site.site, 'site-key.asc'), 'no key', { mode: 0o600 })
    expect(await run(['serve', ...site.serving, '--processes', '2'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("error KEY_INVALID: the site's signing key is invalid"),
    })
    expect(await isRefused(portOf(site))).toBe(true)
  })
})

describe('one serving process', () => {
  it('is the program itself', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', '1')
    expect(childrenOf(served.pid)).toEqual([])
    expect(await finish(await begin(`http://${site.registry}${layerPath}`))).toBe(digestOf(layer))
    expect((await served.stop()).code).toBe(143)
  })
})

describe('the program of a serving process', () => {
  it('is no command: it runs only where the program has started itself', async () => {
    expect(await run(['serving-process'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("unknown command 'serving-process'"),
    })
    expect((await run(['--help'])).stdout).not.toContain('serving-process')
  })
})
