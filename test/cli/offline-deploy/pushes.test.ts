import { readdir, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/core/digest.ts'
import { overlaySummary } from '../../../src/overlay/summary.ts'
import { noise } from '../../bundle/samples.ts'
import { imageOver } from '../../serve/support/pushes.ts'
import { sampleStack, writeBundle } from '../../site/support/sample-site.ts'
import { childrenOf, type Served, serve, until } from './serving-support.ts'
import { buildProgram, run, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

const env = { OFFLINE_DEPLOY_USER_PASSWORD: 'correct horse battery' }
const authorization = `Basic ${Buffer.from(`ci:${env.OFFLINE_DEPLOY_USER_PASSWORD}`).toString('base64')}`

async function siteWithUser(): Promise<TestSite> {
  const site = await testSite()
  await writeBundle(site.bundle, await sampleStack())
  expect(await run(['users', 'add', 'ci', '--role', 'admin', '--site', site.site], { env })).toMatchObject({
    code: 0,
  })
  return site
}

/** Sends a request on a connection of its own, so that any process may get it. */
async function send(
  { registry }: TestSite,
  path: string,
  { method, body, headers = {} }: { method: string; body?: Buffer; headers?: Record<string, string> },
) {
  return await fetch(`http://${registry}${path}`, {
    method,
    headers: { authorization, connection: 'close', ...headers },
    ...(body && { body }),
  })
}

const bytes = noise(8 << 20, 11)
const digest = digestOf(bytes)
const config = Buffer.from('{}')

async function begin(site: TestSite): Promise<string> {
  const got = await send(site, '/v2/team/app/blobs/uploads/', { method: 'POST' })
  expect(got.status).toBe(202)
  return got.headers.get('location')!
}

/** Sends a part of a body, and never its end. */
function stuck({ registry }: TestSite, location: string, part: Buffer): { failed: Promise<void> } {
  const { hostname, port } = new URL(`http://${registry}`)
  const headers = { authorization, 'content-length': String(bytes.length) }
  const outgoing = request({ host: hostname, port, method: 'PATCH', path: location, headers, agent: false })
  const failed = new Promise<void>(resolve => {
    outgoing.once('error', () => resolve())
    outgoing.once('close', () => resolve())
  })
  outgoing.write(part)
  return { failed }
}

async function offset(site: TestSite, location: string): Promise<number> {
  const got = await send(site, location, { method: 'GET' })
  expect(got.status).toBe(204)
  return Number(got.headers.get('range')!.slice(2)) + 1
}

/** Sends the rest of an upload, and pulls the blob. */
async function complete(site: TestSite, location: string): Promise<void> {
  const from = await offset(site, location)
  expect(from).toBeGreaterThan(1)
  const got = await send(site, `${location}?digest=${digest}`, { method: 'PUT', body: bytes.subarray(from) })
  expect([got.status, await got.text()]).toEqual([201, ''])
  const pulled = await send(site, `/v2/team/app/blobs/${digest}`, { method: 'GET' })
  expect(Buffer.from(await pulled.arrayBuffer()).equals(bytes)).toBe(true)
}

async function written(site: TestSite): Promise<boolean> {
  const [file] = (await readdir(join(site.site, 'overlay/uploads'))).filter(name => !name.endsWith('.json'))
  return file !== undefined && (await stat(join(site.site, 'overlay/uploads', file))).size >= 1 << 20
}

describe('an upload', () => {
  it('continues after its serving process was killed (SIGKILL)', async () => {
    const site = await siteWithUser()
    const served = await serve(site, '--processes', '2')
    const location = await begin(site)
    const sending = stuck(site, location, bytes.subarray(0, 3 << 20))
    await until(() => written(site))
    for (const pid of childrenOf(served.pid)) process.kill(pid, 'SIGKILL')
    await sending.failed
    await until(
      async () => (await send(site, '/v2/', { method: 'GET' }).catch(() => undefined))?.status === 200,
    )
    await complete(site, location)
  }, 60_000)

  it.each([1, 2])(
    'continues after all servers were killed and started again (%i processes)',
    async processes => {
      const site = await siteWithUser()
      const start = async (): Promise<Served> => await serve(site, '--processes', String(processes))
      const served = await start()
      const location = await begin(site)
      const sending = stuck(site, location, bytes.subarray(0, 3 << 20))
      await until(() => written(site))
      served.child.kill('SIGKILL')
      await sending.failed
      await served.ended
      await start()
      expect((await send(site, `/v2/team/app/blobs/${digest}`, { method: 'GET' })).status).toBe(404)
      await complete(site, location)
    },
    60_000,
  )
})

describe('pushes', () => {
  it('that were acknowledged are all there after the servers were killed at any moment', async () => {
    const site = await siteWithUser()
    const acknowledged: { tag: string; digest: string }[] = []
    for (let round = 0; round < 3; round++) {
      const served = await serve(site, '--processes', '2')
      let isUp = true
      const pushing = Array.from({ length: 4 }, async (_, worker) => {
        for (let i = 0; isUp; i++) {
          const tag = `t${round}-${worker}-${i}`
          const layer = noise(50_000, round * 10_000 + worker * 1_000 + i)
          const manifest = imageOver(config, [layer])
          try {
            for (const blob of [config, layer]) {
              const path = `/v2/team/app/blobs/uploads/?digest=${digestOf(blob)}`
              if ((await send(site, path, { method: 'POST', body: blob })).status !== 201) return
            }
            const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' }
            const got = await send(site, `/v2/team/app/manifests/${tag}`, {
              method: 'PUT',
              body: manifest,
              headers,
            })
            if (got.status === 201) acknowledged.push({ tag, digest: digestOf(manifest) })
          } catch {
            return
          }
        }
      })
      const before = acknowledged.length
      await until(() => acknowledged.length >= before + 5 + round)
      served.child.kill('SIGKILL')
      isUp = false
      await Promise.all(pushing)
      await served.ended
    }
    expect(acknowledged.length).toBeGreaterThan(0)
    await serve(site, '--processes', '1')
    const { tags } = (await (await send(site, '/v2/team/app/tags/list', { method: 'GET' })).json()) as {
      tags: string[]
    }
    for (const { tag, digest: expected } of acknowledged) {
      expect(tags).toContain(tag)
      const got = await send(site, `/v2/team/app/manifests/${tag}`, { method: 'GET' })
      expect(got.headers.get('docker-content-digest')).toBe(expected)
    }
    // and whatever is there is complete
    for (const tag of tags) {
      const manifest = (await (
        await send(site, `/v2/team/app/manifests/${tag}`, { method: 'GET' })
      ).json()) as {
        layers: { digest: string }[]
      }
      const layer = await send(site, `/v2/team/app/blobs/${manifest.layers[0]!.digest}`, { method: 'GET' })
      expect(digestOf(Buffer.from(await layer.arrayBuffer()))).toBe(manifest.layers[0]!.digest)
    }
    expect(await readdir(join(site.site, 'overlay/uploads'))).toEqual([])
    expect(await overlaySummary(join(site.site, 'overlay'))).toMatchObject({
      repositories: 1,
      tags: tags.length,
    })
  }, 90_000)
})
