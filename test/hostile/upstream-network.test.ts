import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Authority, hasOpenssl, makeAuthority } from '../remote/support/certificates.ts'
import { failure, testClient } from '../remote/support/clients.ts'
import type { GetProbeArguments } from '../remote/support/get-probe.ts'
import { startProxy } from '../remote/support/proxy.ts'
import { startUpstream } from '../remote/support/upstream.ts'

const small = { maxBytes: 1000 }
const hasIpv6 = Object.values(networkInterfaces()).some(list => list?.some(entry => entry.address === '::1'))

describe('hostile upstream: redirects', () => {
  it('fault 11: a redirect to another host gets no Authorization and no cookies; the same host keeps them', async () => {
    const other = await startUpstream((_request, response) => {
      response.end('there')
    })
    const first = await startUpstream((request, response) => {
      const to = request.url === '/start' ? '/second' : `${other.origin}/end`
      response.writeHead(302, { location: to, 'set-cookie': 'session=1' }).end()
    })
    const { http } = testClient()
    const headers = { authorization: 'Bearer secret', cookie: 'a=b', accept: 'text/plain' }
    const answer = await http.get(`${first.origin}/start`, { ...small, headers })
    expect(answer.url).toBe(`${other.origin}/end`)
    expect(first.seen.map(request => request.headers.authorization)).toEqual([
      'Bearer secret',
      'Bearer secret',
    ])
    expect(other.seen[0]?.headers).toMatchObject({ accept: 'text/plain' })
    expect(other.seen[0]?.headers).not.toHaveProperty('authorization')
    expect(other.seen[0]?.headers).not.toHaveProperty('cookie')
  })

  it('fault 11: a password in a URL goes to its own host only, and into no message', async () => {
    const other = await startUpstream((_request, response) => {
      response.writeHead(404).end()
    })
    const first = await startUpstream((_request, response) => {
      response.writeHead(307, { location: `${other.origin}/end?token=hunter3` }).end()
    })
    const { http, progress } = testClient()
    const url = `http://user:hunter2@${first.host}/x?key=hunter4`
    const error = await failure(http.get(url, small), 'NOT_FOUND_UPSTREAM')
    expect(first.seen[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('user:hunter2').toString('base64')}`,
    )
    expect(other.seen[0]?.headers.authorization).toBeUndefined()
    expect(JSON.stringify(error) + progress.notes.join()).not.toContain('hunter')
    expect(http.openers(url)[0]?.name).not.toContain('hunter')
  })

  it('fault 12: a redirect loop, and a chain that never ends', async () => {
    let count = 0
    const upstream = await startUpstream((request, response) => {
      const next = request.url === '/a' ? '/b' : request.url === '/b' ? '/a' : `/${count++}`
      response.writeHead(301, { location: next }).end()
    })
    const { http } = testClient()
    const circle = await failure(http.get(`${upstream.origin}/a`, small), 'REDIRECT_REFUSED')
    expect(circle.message).toContain('loop')
    expect(upstream.seen).toHaveLength(2)
    const endless = await failure(http.get(`${upstream.origin}/x`, small), 'REDIRECT_REFUSED')
    expect(endless.message).toContain('more than 10')
    expect(upstream.seen).toHaveLength(2 + 11)
  })

  it.each(['file:///etc/passwd', 'ftp://127.0.0.1/x', 'data:text/plain,x', 'gopher://127.0.0.1/'])(
    'fault 12: a redirect to %s is refused',
    async location => {
      const upstream = await startUpstream((_request, response) => {
        response.writeHead(302, { location }).end()
      })
      const error = await failure(testClient().http.get(`${upstream.origin}/x`, small), 'REDIRECT_REFUSED')
      expect(error.exitCode).toBe(5)
    },
  )

  it('fault 12: a redirect without Location, and one to an invalid URL', async () => {
    const upstream = await startUpstream((request, response) => {
      if (request.url === '/none') response.writeHead(302).end()
      else response.writeHead(302, { location: 'http://[nonsense' }).end()
    })
    const { http } = testClient()
    await failure(http.get(`${upstream.origin}/none`, small), 'REDIRECT_REFUSED')
    await failure(http.get(`${upstream.origin}/bad`, small), 'REDIRECT_REFUSED')
  })

  it.each([
    ['127.0.0.1', 'this machine'],
    ['[::1]', 'this machine'],
    ['[::ffff:127.0.0.1]', 'this machine'],
    ['localhost', 'this machine'],
    ['169.254.169.254', 'this machine or its link'],
    ['0x7f.1', 'this machine'],
    ['2130706433', 'this machine'],
    ['10.1.2.3', 'private'],
    ['192.168.7.7', 'private'],
    ['[fd00::1]', 'private'],
    ['metadata.inside.example', 'this machine'],
  ])(
    'fault 12: a public source that redirects to %s is refused before anything is sent there',
    async (target, why) => {
      const inside = await startUpstream((_request, response) => {
        response.end('secret')
      })
      const proxy = await startProxy({
        plain: (_request, response) => {
          response.writeHead(302, { location: `http://${target}:${inside.port}/` }).end()
        },
      })
      const { http } = testClient({
        env: { http_proxy: proxy.origin },
        // the names of this test: one inside, the others unknown here (only the proxy can resolve them)
        lookup: (name, _options, done) =>
          name === 'metadata.inside.example'
            ? done(null, [{ address: '169.254.169.254', family: 4 }])
            : done(Object.assign(new Error('none'), { code: 'ENOTFOUND' }), []),
      })
      const error = await failure(http.get('http://public.example/file', small), 'REDIRECT_REFUSED')
      expect(error.message).toContain(why)
      expect(inside.seen).toEqual([])
      expect(proxy.seen).toHaveLength(1)
    },
  )

  it('fault 12: the same redirect is followed where its host is allowed by name', async () => {
    const inside = await startUpstream((_request, response) => {
      response.end('meant')
    })
    const proxy = await startProxy({
      plain: (_request, response) => {
        response.writeHead(302, { location: `${inside.origin}/` }).end()
      },
    })
    const { http } = testClient({ env: { http_proxy: proxy.origin }, allowPrivateRedirects: true })
    const answer = await http.get('http://public.example/file', small)
    expect(answer.bytes.toString()).toBe('meant')
  })
})

describe('hostile upstream: proxies', () => {
  it('fault 22: a proxy that answers 407 is reported as the proxy, for http and https', async () => {
    const proxy = await startProxy({ authorization: 'Basic nobody' })
    const { http } = testClient({ env: { HTTP_PROXY: proxy.origin, HTTPS_PROXY: proxy.origin } })
    for (const url of ['http://public.example/x', 'https://public.example/x']) {
      const error = await failure(http.get(url, small), 'PROXY_FAILED')
      expect(error.message).toContain('407')
      expect(error.next).toContain('NO_PROXY')
      expect(error.exitCode).toBe(5)
    }
    expect(proxy.seen).toHaveLength(2)
  })

  it('fault 22: credentials in the proxy URL are used, and never shown', async () => {
    const authorization = `Basic ${Buffer.from('me:s3cret').toString('base64')}`
    const proxy = await startProxy({
      authorization,
      plain: (_request, response) => {
        response.writeHead(404).end()
      },
    })
    const { http } = testClient({ env: { http_proxy: `http://me:s3cret@${proxy.host}` } })
    const error = await failure(http.get('http://public.example/x', small), 'NOT_FOUND_UPSTREAM')
    expect(JSON.stringify(error)).not.toContain('s3cret')
    expect(proxy.seen[0]?.url).toBe('http://public.example/x')
  })

  it('fault 22: a proxy that refuses the destination, or is unreachable', async () => {
    const proxy = await startProxy({ refuse: 403 })
    const refused = await failure(
      testClient({ env: { https_proxy: proxy.origin } }).http.get('https://public.example/x', small),
      'PROXY_FAILED',
    )
    expect(refused.message).toContain('403')
    const dead = testClient({ env: { https_proxy: 'http://127.0.0.1:9' }, retry: { attempts: 2 } })
    const error = await dead.http.get('https://public.example/x', small).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ exitCode: 5 })
  })

  it('fault 22: NO_PROXY and loopback bypass the proxy', async () => {
    const proxy = await startProxy({})
    const upstream = await startUpstream((_request, response) => {
      response.end('direct')
    })
    const { http } = testClient({
      env: { http_proxy: proxy.origin, no_proxy: 'inside.example' },
      lookup: (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    })
    for (const host of [upstream.host, `files.inside.example:${upstream.port}`]) {
      expect((await http.get(`http://${host}/x`, small)).bytes.toString()).toBe('direct')
    }
    expect(proxy.seen).toEqual([])
  })

  it('fault 22: a proxy with an invalid URL', () => {
    expect(() => testClient({ env: { http_proxy: 'http://' } })).toThrow(
      expect.objectContaining({ code: 'USAGE' }),
    )
  })
})

describe.skipIf(!hasOpenssl)('hostile upstream: TLS (needs openssl)', () => {
  let authority: Authority
  beforeAll(() => {
    authority = makeAuthority()
  })
  afterAll(() => authority.remove())
  const answer = (_request: unknown, response: { end(text: string): void }) => response.end('ok')

  it('fault 23: an unknown CA is refused with advice how to configure it', async () => {
    const upstream = await startUpstream(answer, { tls: authority.issue('IP:127.0.0.1') })
    const { http, progress } = testClient()
    const error = await failure(http.get(`${upstream.origin}/x`, small), 'TLS_FAILED')
    expect(error.message).toContain('authority')
    expect(error.next).toContain('AIRGAP_CA_FILE')
    expect(progress.notes).toEqual([])
  })

  it('fault 23: a private CA by configuration works, from an option and from the environment', async () => {
    const upstream = await startUpstream(answer, { tls: authority.issue('IP:127.0.0.1') })
    for (const options of [{ caFile: authority.caFile }, { env: { AIRGAP_CA_FILE: authority.caFile } }]) {
      const { http } = testClient(options)
      expect((await http.get(`${upstream.origin}/x`, small)).bytes.toString()).toBe('ok')
    }
  })

  it('fault 23: a CA file adds to the known CAs, including those of NODE_EXTRA_CA_CERTS', async () => {
    const other = makeAuthority()
    onTestFinished(() => other.remove())
    const upstream = await startUpstream(answer, { tls: other.issue('IP:127.0.0.1') })
    const probe = join(import.meta.dirname, '..', 'remote', 'support', 'get-probe.ts')
    const probeArguments: GetProbeArguments = [`${upstream.origin}/x`, authority.caFile]
    const get = async (extra: string) => {
      const env = { ...process.env, NODE_EXTRA_CA_CERTS: extra }
      return (await promisify(execFile)(process.execPath, [probe, ...probeArguments], { env })).stdout
    }
    expect(await get(other.caFile)).toBe('ok')
    expect(await get('')).toBe('TLS_FAILED')
  })

  it('fault 23: a private CA also holds through a proxy', async () => {
    const upstream = await startUpstream(answer, { tls: authority.issue('DNS:public.example') })
    const proxy = await startProxy({ tunnelTo: upstream.port })
    const env = { https_proxy: proxy.origin }
    const { http } = testClient({ env, caFile: authority.caFile })
    expect((await http.get('https://public.example/x', small)).bytes.toString()).toBe('ok')
    expect(proxy.seen[0]).toMatchObject({ method: 'CONNECT', url: 'public.example:443' })
    await failure(testClient({ env }).http.get('https://public.example/x', small), 'TLS_FAILED')
    const other = testClient({ env, caFile: authority.caFile }).http
    await failure(other.get('https://other.example/x', small), 'TLS_FAILED')
  })

  it('fault 23: an expired certificate, and one for another name', async () => {
    const expired = await startUpstream(answer, {
      tls: authority.issue('IP:127.0.0.1', { notAfter: '20210101000000Z' }),
    })
    const { http } = testClient({ caFile: authority.caFile })
    expect((await failure(http.get(`${expired.origin}/x`, small), 'TLS_FAILED')).message).toContain('expired')
    const other = await startUpstream(answer, { tls: authority.issue('DNS:other.example') })
    const error = await failure(http.get(`${other.origin}/x`, small), 'TLS_FAILED')
    expect(error.message).toContain('another name')
  })

  it('fault 23: plain http at an https URL is refused with advice', async () => {
    const upstream = await startUpstream(answer)
    const error = await failure(testClient().http.get(`https://${upstream.host}/x`, small), 'TLS_FAILED')
    expect(error.next).toContain('http://')
    upstream.server.on('clientError', (_error, socket) => socket.destroy())
    const { http } = testClient({ retry: { attempts: 1 } })
    const reset = await failure(http.get(`https://${upstream.host}/x`, small), 'NETWORK')
    expect(reset.next).toContain('http://')
  })

  it('fault 23: a CA file that is missing, or has no certificate', () => {
    expect(() => testClient({ caFile: join(authority.folder, 'none.pem') })).toThrow(
      expect.objectContaining({ code: 'FILE_NOT_FOUND' }),
    )
    const empty = join(authority.folder, 'empty.pem')
    writeFileSync(empty, 'not a certificate')
    expect(() => testClient({ caFile: empty })).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })

  it('fault 11: no Authorization from https to http on the same host', async () => {
    const plain = await startUpstream(answer)
    const secure = await startUpstream(
      (_request, response) => {
        response.writeHead(302, { location: `${plain.origin}/x` }).end()
      },
      { tls: authority.issue('IP:127.0.0.1') },
    )
    const { http } = testClient({ caFile: authority.caFile })
    await http.get(`${secure.origin}/x`, { ...small, headers: { authorization: 'Bearer secret' } })
    expect(secure.seen[0]?.headers.authorization).toBe('Bearer secret')
    expect(plain.seen[0]?.headers.authorization).toBeUndefined()
  })
})

describe('hostile upstream: names and addresses', () => {
  const dns = (code: string) => ({
    lookup: (
      _name: string,
      _options: unknown,
      done: (error: NodeJS.ErrnoException | null, list: []) => void,
    ) => done(Object.assign(new Error(code), { code }), []),
  })

  it('fault 24: an unknown DNS name is final', async () => {
    const { http, progress } = testClient(dns('ENOTFOUND'))
    const error = await failure(http.get('https://registry.example/x', small), 'DNS_FAILED')
    expect(error.item).toContain('registry.example')
    expect(progress.notes).toEqual([])
  })

  it('fault 24: a DNS server that does not answer is retried', async () => {
    const { http, progress } = testClient(dns('EAI_AGAIN'))
    const error = await failure(http.get('https://registry.example/x', small), 'NETWORK')
    expect(error.message).toContain('DNS')
    expect(progress.notes).toHaveLength(5)
  })

  it.skipIf(!hasIpv6)('fault 24: a host with IPv6 only (needs ::1)', async () => {
    const upstream = await startUpstream((_request, response) => response.end('six'), { address: '::1' })
    const { http } = testClient({
      lookup: (_name, _options, done) => done(null, [{ address: '::1', family: 6 }]),
    })
    for (const url of [`${upstream.origin}/x`, `http://six.example:${upstream.port}/x`]) {
      expect((await http.get(url, small)).bytes.toString()).toBe('six')
    }
  })

  it('a refused connection is reported with what to check', async () => {
    const { http } = testClient({ retry: { attempts: 2 } })
    const error = await failure(http.get('http://127.0.0.1:9/x', small), 'NETWORK')
    expect(error.message).toContain('refused')
  })

  it('a server that does not speak HTTP', async () => {
    const upstream = await startUpstream((_request, response) => {
      response.socket?.end('SSH-2.0-OpenSSH_9.2\r\n')
    })
    const { http } = testClient({ retry: { attempts: 1 } })
    await failure(http.get(`${upstream.origin}/x`, small), 'NETWORK')
  })
})
