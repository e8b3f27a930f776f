import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/core/digest.ts'
import { requestControl } from '../../../src/serve/control-socket.ts'
import {
  combine,
  imageOf,
  imageSample,
  noise,
  tempFolder,
  writeBundle as writeLarge,
} from '../../bundle/samples.ts'
import { sampleImage, sampleLock, writeBundle } from '../../site/support/sample-site.ts'
import { type Begun, begin, childrenOf, finish, type Served, serve, until } from './serving-support.ts'
import { buildProgram, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

/** larger than all buffers between a server and a client that reads nothing */
const layer = noise(16 << 20, 7)
const layerPath = `/v2/app/blobs/${digestOf(layer)}`

/** A site whose bundle has the layer. */
async function largeSite(): Promise<TestSite> {
  const site = await testSite()
  await writeLarge(site.bundle, combine(imageSample(imageOf('registry.example/app:1', [layer]))))
  return site
}

/** What `apply` writes when it sets a site up: these bundles, which it has accepted. */
async function configure(site: TestSite, bundles: readonly string[], digests: readonly string[] = []) {
  const port = (url: string) => Number(url.split(':').at(-1))
  const config = {
    bundles,
    address: '127.0.0.1',
    registryPort: port(site.registry),
    httpPort: port(site.http),
    listen: '127.0.0.1',
    environment: 'prod',
    nodeRoot: null,
  }
  await writeFile(join(site.site, 'config.json'), JSON.stringify(config), { mode: 0o600 })
  const known = digests.map(digest => ({ name: 'second', version: '1', digest }))
  await writeFile(join(site.site, 'bundles.json'), JSON.stringify({ bundles: known }), { mode: 0o600 })
}

/** Another bundle, with an image under this name. */
async function secondBundle(site: TestSite, name = 'second'): Promise<{ path: string; digest: string }> {
  const path = join(site.work, `${name}.tar`)
  const digest = await writeBundle(path, [sampleImage(`registry.example/${name}:1`), ...sampleLock()])
  return { path, digest }
}

async function reload({ site }: TestSite): Promise<unknown> {
  const answer = await requestControl(
    join(site, 'control.sock'),
    { what: 'reload' },
    AbortSignal.timeout(30_000),
  )
  return answer?.value
}

async function statusOf(url: string): Promise<number> {
  const begun = await begin(url)
  await finish(begun)
  return begun.answer.statusCode ?? 0
}

/** descriptors that a process has open, but for sockets */
function filesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function residentBytes(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1])
  return pages * 4096
}

const downloads = (site: TestSite, count: number): Promise<Begun[]> =>
  Promise.all(Array.from({ length: count }, () => begin(`http://${site.registry}${layerPath}`)))

describe.each(['1', '2'])('a reload of the servers, in %s process(es)', processes => {
  it('serves what the configuration names then, and cuts off no download', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', processes, '--access-log')
    const running = await downloads(site, 16)
    const second = await secondBundle(site)
    expect(await statusOf(`http://${site.registry}/v2/second/manifests/1`)).toBe(404)
    await configure(site, [site.bundle, second.path], [second.digest])
    served.child.kill('SIGHUP')
    await until(async () => (await statusOf(`http://${site.registry}/v2/second/manifests/1`)) === 200)
    const record = async () => JSON.parse(await readFile(join(site.site, 'serving.json'), 'utf8'))
    // one of two may have got all downloads, where the other one was not ready yet
    await until(async () => (await record()).draining.length > 0 === (processes === '2'))
    await configure(site, [site.bundle])
    expect(await reload(site)).toMatchObject({ bundles: [{ path: site.bundle }] })
    expect(await statusOf(`http://${site.registry}/v2/second/manifests/1`)).toBe(404)
    expect(await Promise.all(running.map(finish))).toEqual(Array(16).fill(digestOf(layer)))
    if (processes === '2') await until(() => childrenOf(served.pid).length === 2)
    const { stderr } = await served.stop()
    expect(stderr.match(/blobs[^\n]*"status":200/g)).toHaveLength(16)
    expect(stderr).not.toContain('aborted')
  })

  it('fails no request of clients that keep their connections, without a retry', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', processes)
    let going = true
    const requested = Promise.all(
      Array.from({ length: 4 }, async (_, i) => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 })
        let count = 0
        while (going) {
          const status = await new Promise<number>((resolve, reject) => {
            get(`http://${site.registry}/v2/app/manifests/1`, { agent }, answer => {
              answer.resume().once('end', () => resolve(answer.statusCode!))
            }).once('error', reject)
          })
          if (status !== 200) throw new Error(`status ${status}`)
          count++
          await new Promise(go => setTimeout(go, i * 5))
        }
        agent.destroy()
        return count
      }),
    )
    for (let i = 0; i < 5; i++) await reload(site)
    going = false
    for (const count of await requested) expect(count).toBeGreaterThan(10)
    await served.stop()
  })

  it('leaves the servers as they are where a bundle is damaged or unknown, and says why', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', processes)
    const second = await secondBundle(site)
    await configure(site, [site.bundle, second.path])
    await expect(reload(site)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', item: second.path })
    await configure(site, [site.bundle, second.path], [second.digest])
    const bytes = await readFile(second.path)
    // in the front, of which the digest pins every byte
    bytes.fill('x', 600, 700)
    await writeFile(second.path, bytes)
    await expect(reload(site)).rejects.toMatchObject({ exitCode: expect.any(Number) })
    await configure(site, [site.bundle, join(site.work, 'missing.tar')])
    await expect(reload(site)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    expect(await Promise.all((await downloads(site, 4)).map(finish))).toEqual(Array(4).fill(digestOf(layer)))
    const { stderr, code } = await served.stop()
    expect(code).toBe(143)
    expect(stderr.match(/"reloadFailed":/g)).toHaveLength(3)
  })

  it('again and again during one slow download leaves no process, file or memory behind', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', processes)
    const size = Number(processes) === 1 ? 0 : Number(processes)
    await reload(site)
    await until(() => childrenOf(served.pid).length === size)
    const [files, memory] = [filesOf(served.pid), residentBytes(served.pid)]
    const [slow] = await downloads(site, 1)
    for (let i = 0; i < 10; i++) {
      await reload(site)
      expect(childrenOf(served.pid).length).toBeLessThanOrEqual(2 * size + 1)
    }
    await until(() => childrenOf(served.pid).length <= size + 1)
    expect(await finish(slow!)).toBe(digestOf(layer))
    await until(() => childrenOf(served.pid).length === size)
    await until(() => filesOf(served.pid) <= files)
    expect(residentBytes(served.pid) - memory).toBeLessThan(150 << 20)
    await served.stop()
  })

  it('is refused while many earlier processes still answer, and works again once they have ended', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', processes)
    const slow: Begun[] = []
    const refused = await (async () => {
      for (let i = 0; i < 12; i++) {
        slow.push(...(await downloads(site, Number(processes))))
        try {
          await reload(site)
        } catch (error) {
          return error
        }
      }
      return undefined
    })()
    expect(refused).toMatchObject({ code: 'BUSY', message: expect.stringContaining('still finish answers') })
    expect(await Promise.all(slow.map(finish))).toEqual(slow.map(() => digestOf(layer)))
    await until(async () => (await reload(site).catch(() => undefined)) !== undefined)
    await served.stop()
  })

  it('that is requested several times at once runs once more for all who came later', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', processes)
    const second = await secondBundle(site)
    const first = reload(site)
    await configure(site, [site.bundle, second.path], [second.digest])
    const later = await Promise.all([first, reload(site), reload(site), reload(site)])
    for (const one of later.slice(1))
      expect(one).toMatchObject({ bundles: [{ path: site.bundle }, { path: second.path }] })
    const { stderr } = await served.stop()
    expect(stderr.match(/"reloaded":/g)!.length).toBeLessThanOrEqual(3)
  })
})

describe('a reload in several processes', () => {
  it('leaves no process behind where the supervisor is killed during it', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', '2')
    const [slow] = await downloads(site, 1)
    const pids = new Set(childrenOf(served.pid))
    served.child.kill('SIGHUP')
    await until(() => {
      for (const pid of childrenOf(served.pid)) pids.add(pid)
      return pids.size > 2
    })
    served.child.kill('SIGKILL')
    await served.ended
    await until(() => [...pids].every(pid => !existsSync(`/proc/${pid}`)))
    expect(await finish(slow!)).toBe('broken')
    const again = await serve(site, '--processes', '2')
    expect(await reload(site)).toMatchObject({ process: again.pid })
    await again.stop()
  })

  it('keeps counting', async () => {
    const site = await largeSite()
    const served = await serve(site, '--processes', '2')
    for (let i = 0; i < 5; i++) {
      expect(await statusOf(`http://${site.registry}/v2/none/manifests/1`)).toBe(404)
      await reload(site)
    }
    const record = async () => JSON.parse(await readFile(join(site.site, 'serving.json'), 'utf8'))
    // written every few seconds
    await until(async () => (await record()).draining.length === 0)
    expect(await record()).toMatchObject({ restarts: 0, servers: { registry: { requests: 5 } } })
    await served.stop()
  })
})

describe('the socket of the servers', () => {
  it('works in a state folder whose path is longer than the name of a socket may be', async () => {
    const site = await largeSite()
    const folder = join(await tempFolder(), 'x'.repeat(120))
    const args = site.serving.with(site.serving.indexOf('--site') + 1, folder)
    const served: Served = await serve({ ...site, serving: args, site: folder }, '--processes', '1')
    expect(await reload({ ...site, site: folder })).toMatchObject({ process: served.pid })
    await served.stop()
    expect(existsSync(join(folder, 'control.sock'))).toBe(false)
    expect(await reload({ ...site, site: folder })).toBeUndefined()
  })
})
