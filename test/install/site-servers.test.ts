import { generateKeyPairSync } from 'node:crypto'
import { chmod, stat, writeFile } from 'node:fs/promises'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MemoryStore } from '../../src/content/memory-store.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { digestOf } from '../../src/core/digest.ts'
import { httpGet } from '../../src/install/http-get.ts'
import { findServers, requireServers, type SiteServers } from '../../src/install/site-servers.ts'
import { createHttpServer } from '../../src/serve/files.ts'
import { createRegistryServer } from '../../src/serve/registry.ts'
import { openServerKey, readServerKey } from '../../src/site/server-key.ts'
import { proofPath, proveServer, type ServerClaim, type SiteServer } from '../../src/site/server-proof.ts'
import { siteDocumentPath } from '../../src/site/site-view.ts'
import { tempFolder, testContext } from './support.ts'

const { signal } = testContext()
const { privateKey: key } = generateKeyPairSync('ed25519')
const description = {
  site: 'a site',
  bundles: [digestOf('a')],
  registry: '10.0.0.1:35000',
  httpServer: 'http://10.0.0.1:8080',
  clients: digestOf('b'),
}
const document = Buffer.from(canonicalJson(description))

async function listening(server: FastifyInstance, host = '127.0.0.1'): Promise<string> {
  await server.listen({ host, port: 0 })
  onTestFinished(() => server.close())
  const { port } = server.server.address() as { port: number }
  return `http://${host === '::' ? '127.0.0.1' : host}:${port}`
}

/** Both servers of the product, with a key; `change` makes their claims wrong. */
async function started(change: Partial<ServerClaim> = {}, host?: string) {
  const store = new MemoryStore()
  const challengeOf = (server: SiteServer, of: string) => ({
    path: proofPath,
    answer: (challenge: { nonce: string; address: string }) =>
      proveServer(key, { site: 'a site', server, description: of, ...challenge, ...change }),
  })
  const registry = createRegistryServer(
    store,
    { names: () => [], find: () => undefined },
    { challenge: challengeOf('registry', '') },
  )
  const generated = new Map([[siteDocumentPath.slice(1), { bytes: document, mediaType: 'application/json' }]])
  const http = createHttpServer(store, [{ prefix: '/', generated }], {
    challenge: challengeOf('http', digestOf(document)),
  })
  return { registry: await listening(registry, host), http: await listening(http, host) }
}

function serversAt(urls: Record<SiteServer, string>, options: Partial<SiteServers> = {}): SiteServers {
  return { site: 'a site', key: async () => key, ca: async () => undefined, urls, direct: true, ...options }
}

/** Answers every request with what `answer` returns. */
async function stranger(answer: (url: string) => Promise<string> | string): Promise<string> {
  const server = fastify({ exposeHeadRoutes: false })
  server.get('*', async request => await answer(request.raw.url ?? ''))
  return await listening(server)
}

const closed = 'http://127.0.0.1:1'

describe('findServers', () => {
  it.each(['127.0.0.1', '::'])('recognizes the servers of this site that listen on %s', async host => {
    const servers = serversAt(await started({}, host))
    expect(await findServers(servers, signal)).toEqual({ registry: 'ours', http: 'ours', description })
    await requireServers(servers, signal)
  })

  it('finds nothing where nothing listens', async () => {
    const servers = serversAt({ registry: closed, http: closed })
    expect(await findServers(servers, signal)).toEqual({ registry: 'nothing', http: 'nothing' })
    await expect(requireServers(servers, signal)).rejects.toMatchObject({
      code: 'STEP_FAILED',
      next: expect.stringContaining('offline-deploy apply'),
    })
  })

  it.each([
    ['another site', { site: 'another' }],
    ['the other server', { server: 'http' as const }],
    ['an old nonce', { nonce: '0'.repeat(64) }],
    ['another address', { address: '127.0.0.1 1' }],
  ])('refuses a proof of %s', async (_, change) => {
    expect(await findServers(serversAt(await started(change)), signal)).toMatchObject({
      registry: 'stranger',
    })
  })

  it('refuses a proof with another key, and any proof where this site has no key yet', async () => {
    const urls = await started()
    const { privateKey: other } = generateKeyPairSync('ed25519')
    for (const one of [other, undefined])
      expect(await findServers(serversAt(urls, { key: async () => one }), signal)).toEqual({
        registry: 'stranger',
        http: 'stranger',
      })
  })

  it('refuses a program that passes challenges on to the real servers, which listen elsewhere', async () => {
    const real = await started()
    const passedOn = await stranger(async url => (await fetch(`${real.http}${url}`)).text())
    const servers = serversAt({ ...real, http: passedOn })
    expect(await findServers(servers, signal)).toEqual({ registry: 'ours', http: 'stranger' })
    // through an address that is translated on the way, the address in the proof says nothing
    expect(await findServers({ ...servers, direct: false }, signal)).toMatchObject({ http: 'ours' })
  })

  it('believes a description only as it was signed', async () => {
    const urls = await started({ description: digestOf('another description') })
    expect(await findServers(serversAt(urls), signal)).toEqual({ registry: 'ours', http: 'ours' })
  })

  it.each(['', 'null', '[]', '{}', '{"signature":1}', 'x'.repeat(1 << 20)])(
    'takes an answer of %.20j for that of a stranger',
    async body => {
      const url = await stranger(() => body)
      await expect(requireServers(serversAt({ registry: url, http: url }), signal)).rejects.toMatchObject({
        code: 'PORT_IN_USE',
        exitCode: 7,
        item: `${url}, ${url}`,
        next: expect.stringContaining('ss -ltnp'),
      })
    },
  )

  it('takes a program for a stranger that hangs up, or sends something else than HTTP', async () => {
    for (const greeting of ['', 'SSH-2.0-OpenSSH_9.2\r\n']) {
      const server = createTcpServer(socket => socket.on('error', () => {}).end(greeting))
      await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
      onTestFinished(() => void server.close())
      const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
      expect(await findServers(serversAt({ registry: url, http: closed }), signal)).toEqual({
        registry: 'stranger',
        http: 'nothing',
      })
    }
  })
})

describe('the challenge', () => {
  it.each(['', 'x', '0'.repeat(63), '0'.repeat(65), `${'0'.repeat(63)}\n`, 'A'.repeat(64)])(
    'refuses %j as a nonce: a client must not have its own text signed',
    async nonce => {
      const { http, registry } = await started()
      for (const url of [http, registry]) {
        const answer = await httpGet(`${url}${proofPath}?nonce=${encodeURIComponent(nonce)}`, { signal })
        expect(answer.status).toBe(400)
      }
    },
  )
})

describe('the key of the servers', () => {
  it('is made once, for this user alone', async () => {
    const folder = join(await tempFolder(), 'site')
    expect(await readServerKey(folder)).toBeUndefined()
    const [one, two] = await Promise.all([openServerKey(folder), openServerKey(folder)])
    expect(one!.equals(two!)).toBe(true)
    const path = join(folder, 'server-key.pem')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await readServerKey(folder))!.equals(one!)).toBe(true)
    await chmod(path, 0o640)
    await expect(openServerKey(folder)).rejects.toMatchObject({ code: 'PERMISSION', item: path })
    await chmod(path, 0o600)
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    for (const text of ['', 'nonsense', rsa.export({ type: 'pkcs8', format: 'pem' })]) {
      await writeFile(path, text)
      await expect(openServerKey(folder)).rejects.toMatchObject({ code: 'KEY_INVALID', item: path })
    }
  })
})
