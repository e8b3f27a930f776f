import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseReference } from '../../src/core/reference.ts'
import { SecretQueries } from '../../src/core/secret-queries.ts'
import { noWebLogins, webLogins } from '../../src/remote/web-logins.ts'
import { missing, run } from '../kinds/deb/support/programs.ts'
import { withoutPrivileges } from '../without-privileges.ts'
import { failure, testClient, testRegistry } from './support/clients.ts'
import { startUpstream, type Upstream } from './support/upstream.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airgap-logins-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

async function file(name: string, text: string): Promise<string> {
  const path = join(home, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
  return path
}

const aptFolder = () => join(home, 'apt')
const logins = (env: Record<string, string> = {}) =>
  webLogins({ env: { HOME: home, ...env }, aptFolder: aptFolder() })

/** Whose login is found for a URL; `-` for nobody's. */
async function found(url: string, env: Record<string, string> = {}): Promise<string> {
  return (await logins(env).find(new URL(url)))?.username ?? '-'
}

const entry = (machine: string, login: string) => `machine ${machine} login ${login} password pw-${login}\n`

describe('logins of netrc', () => {
  it('are read from AIRGAP_NETRC, else from NETRC, else from ~/.netrc', async () => {
    await file('.netrc', entry('a.example', 'home'))
    const netrc = await file('netrc', entry('a.example', 'netrc'))
    const own = await file('own', entry('a.example', 'own'))
    expect(await found('https://a.example/x')).toBe('home')
    expect(await found('https://a.example/x', { NETRC: netrc })).toBe('netrc')
    expect(await found('https://a.example/x', { NETRC: netrc, AIRGAP_NETRC: own })).toBe('own')
    expect(await found('https://a.example/x', { NETRC: join(home, 'none') })).toBe('-')
  })

  it('are for the host that they name, on every port, by http too', async () => {
    await file(
      '.netrc',
      `${entry('a.example', 'a')}${entry('[::1]', 'six')}${entry('fd00::2', 'bare')}default login d password d\n`,
    )
    for (const url of ['https://a.example', 'http://a.example:8081/x', 'https://A.EXAMPLE:444/'])
      expect(await found(url)).toBe('a')
    expect(await found('http://[::1]:81/')).toBe('six')
    expect(await found('http://[fd00::2]/')).toBe('bare')
    for (const url of [
      'https://b.a.example/',
      'https://a.example.org/',
      'https://xa.example/',
      'https://b.example/',
    ])
      expect(await found(url)).toBe('-')
  })

  it('say so where the named file cannot be read, or is none', async () => {
    const error = await failure(
      testClient({ env: { AIRGAP_NETRC: join(home, 'none') } }).http.get('http://127.0.0.1:1/', {
        maxBytes: 1,
      }),
      'FILE_NOT_FOUND',
    )
    expect(error.item).toContain(join(home, 'none'))
    const large = await file('large', '#'.repeat((1 << 20) + 1))
    await expect(found('https://a.example', { AIRGAP_NETRC: large })).rejects.toMatchObject({ code: 'USAGE' })
  })
})

describe('logins of apt', () => {
  it('are read from auth.conf and auth.conf.d/*.conf, with scheme, port and path', async () => {
    await file('apt/auth.conf', entry('http://a.example:8080/deb', 'port') + entry('a.example', 'https'))
    await file(
      'apt/auth.conf.d/90.conf',
      entry('https://a.example/deb/jammy/', 'path') + entry('tor+http://a.example', 'tor'),
    )
    await file('apt/auth.conf.d/90.conf.bak', entry('http://a.example', 'backup'))
    expect(await found('http://a.example:8080/deb/x')).toBe('port')
    expect(await found('http://a.example:8080/deb')).toBe('port')
    for (const url of [
      'http://a.example:8080/debian/x',
      'http://a.example:8080/',
      'http://a.example:8081/deb',
      'http://a.example/deb/x',
    ])
      expect(await found(url)).toBe('-')
    expect(await found('https://a.example/other')).toBe('https')
    expect(await found('https://a.example:8443/other')).toBe('https')
    expect(await found('https://a.example/deb/jammy/Release')).toBe('path')
    expect(await found('https://a.example:444/deb/jammy/Release')).toBe('https')
  })

  it('the longest path wins, whatever the order and the file', async () => {
    const [long, short] = [entry('https://a.example/x/y', 'long'), entry('https://a.example/x', 'short')]
    for (const [first, second] of [
      [long, short],
      [short, long],
    ] as const) {
      await file('.netrc', entry('a.example', 'host') + first)
      await file('apt/auth.conf', second)
      expect(await found('https://a.example/x/y/z')).toBe('long')
      expect(await found('https://a.example/x/yz')).toBe('short')
      expect(await found('https://a.example/xy')).toBe('host')
    }
    await file(
      '.netrc',
      entry('a.example', 'any') + entry('a.example:444', 'port') + entry('a.example', 'later'),
    )
    expect(await found('https://a.example:444/')).toBe('port')
    expect(await found('https://a.example/')).toBe('any')
  })

  it('are left out where only root may read them', async () => {
    await chmod(home, 0o755)
    await chmod(await file('apt/auth.conf', entry('a.example', 'root')), 0)
    expect(await withoutPrivileges(() => found('https://a.example/'))).toBe('-')
  })
})

/** Wants a login for everything under /private; redirects as the path says: /to/URL. */
async function guarded(pair: string): Promise<Upstream> {
  const wanted = `Basic ${Buffer.from(pair).toString('base64')}`
  return await startUpstream((request, response) => {
    const url = request.url ?? ''
    const target = /^\/to\/(.*)$/.exec(url)?.[1]
    if (target !== undefined) response.writeHead(302, { location: decodeURIComponent(target) }).end()
    else if (url.startsWith('/private') && request.headers.authorization !== wanted)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end('who are you?')
    else response.end('content')
  })
}

const sentTo = (upstream: Upstream) => upstream.seen.map(({ headers }) => headers.authorization ?? '-')
const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`

describe('the HTTP client', () => {
  const client = () => testClient({ logins: logins() }).http
  const get = async (url: string) => (await client().get(url, { maxBytes: 100 })).bytes.toString()

  it('sends the login with every request: whole, size, part', async () => {
    const server = await guarded('me:pä:ss w')
    await file('.netrc', 'machine 127.0.0.1 login me password "pä:ss w"\n')
    const http = client()
    const url = `${server.origin}/private/x`
    expect(await get(url)).toBe('content')
    expect(await http.size(url)).toBe(7)
    const opened = await http.openers(url)[0]!.open({ offset: 0 })
    opened.body.destroy()
    expect(new Set(sentTo(server))).toEqual(new Set([basic('me:pä:ss w')]))
  })

  it('says how to log in where nobody has, and which file has a wrong password', async () => {
    const server = await guarded('me:right')
    const none = await failure(get(`${server.origin}/private/x`), 'UNAUTHORIZED')
    expect(none.next).toContain('machine 127.0.0.1 login NAME password PASSWORD')
    expect(none.next).toContain('AIRGAP_NETRC')
    // what it says works
    const written = await file(
      '.netrc',
      none
        .next!.match(/machine [^`]*/)![0]
        .replace('NAME', 'me')
        .replace('PASSWORD', 'wr0ng-s3cret'),
    )
    const wrong = await failure(get(`${server.origin}/private/x`), 'UNAUTHORIZED')
    expect(wrong.likely).toContain(written)
    expect(JSON.stringify([wrong, wrong.stack, String(wrong.cause)])).not.toContain('s3cret')
    await file('.netrc', (await readFile(written, 'utf8')).replace('wr0ng-s3cret', 'right'))
    expect(await get(`${server.origin}/private/x`)).toBe('content')
  })

  it('fault 11: never sends it to another server on redirect, nor back', async () => {
    const [server, other] = [await guarded('me:pw'), await guarded('me:pw')]
    await file('.netrc', `machine ${server.host} login me password pw\n`)
    expect(await get(`${server.origin}/to/${encodeURIComponent(`${other.origin}/open`)}`)).toBe('content')
    expect([sentTo(server), sentTo(other)]).toEqual([[basic('me:pw')], ['-']])
    const back = encodeURIComponent(`${server.origin}/private/x`)
    const round = `${server.origin}/to/${encodeURIComponent(`${other.origin}/to/${back}`)}`
    await failure(get(round), 'UNAUTHORIZED')
    expect(sentTo(server).at(-1)).toBe('-')
  })

  it('fault 11: one host with two ports is two servers on redirect, even if both have a login', async () => {
    const [server, other] = [await guarded('me:pw'), await guarded('me:pw')]
    await file('.netrc', 'machine 127.0.0.1 login me password pw\n')
    await failure(
      get(`${server.origin}/to/${encodeURIComponent(`${other.origin}/private/x`)}`),
      'UNAUTHORIZED',
    )
    expect(sentTo(other)).toEqual(['-'])
    expect(await get(`${other.origin}/private/x`)).toBe('content')
  })

  it('sends a login for a path to nothing else on the same server', async () => {
    const server = await guarded('me:pw')
    await file('.netrc', `machine http://${server.host}/private login me password pw\n`)
    expect(await get(`${server.origin}/private/x`)).toBe('content')
    expect(await get(`${server.origin}/privateer`).catch(error => error.code)).toBe('UNAUTHORIZED')
    expect(await get(`${server.origin}/to/%2Fprivate%2Fx`)).toBe('content')
    expect(await get(`${server.origin}/open`)).toBe('content')
    expect(sentTo(server)).toEqual([basic('me:pw'), '-', '-', basic('me:pw'), '-'])
  })

  it('leaves the registry client alone: registries have their own logins', async () => {
    const server = await startUpstream((_, response) =>
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end(),
    )
    await file('.netrc', 'machine 127.0.0.1 login me password pw\n')
    const { registry } = testRegistry({
      logins: logins(),
      sources: [{ from: 'r.example', to: [server.origin] }],
    })
    const error = await failure(registry.manifest(parseReference('r.example/a:1')), 'UNAUTHORIZED')
    expect(error.next).toContain('docker login')
    expect(new Set(sentTo(server))).toEqual(new Set(['-']))
  })
})

const lackingForCurl = missing('curl')
const aptHelper = '/usr/lib/apt/apt-helper'
const lackingForApt = missing('apt-get', aptHelper)

describe('stock clients read the same files in the same way', () => {
  const texts = [
    'machine 127.0.0.1 login me password pw\n',
    'machine 127.0.0.1\n  login me\n  password p#w\n',
    '# comment\nmachine other.example login x password y\nmachine 127.0.0.1 login me password "p w"\n',
    'machine localhost login me password pw\n',
    'machine 127.0.0.1 login me account a password pw\nmachine 127.0.0.1 login second password pw\n',
    'macdef init\nmachine 127.0.0.1 login macro password x\n\nmachine 127.0.0.1 login me password pw\n',
  ]
  it.skipIf(lackingForCurl.length > 0).each(texts)(
    `curl --netrc-file (needs ${lackingForCurl.join(', ') || 'nothing more'}): %j`,
    async text => {
      const server = await guarded('-')
      const path = await file('.netrc', text)
      await run('curl', ['-s', '--netrc-file', path, `${server.origin}/open`])
      await testClient({ logins: logins() }).http.get(`${server.origin}/open`, { maxBytes: 100 })
      const [curl, ours] = sentTo(server)
      expect(ours).toBe(curl)
    },
  )

  it.skipIf(lackingForApt.length > 0)(
    `apt with auth.conf (needs ${lackingForApt.join(', ') || 'nothing more'})`,
    async () => {
      const server = await guarded('-')
      const machines = [
        '127.0.0.1',
        `127.0.0.1:${server.port}`,
        'http://127.0.0.1',
        `http://${server.host}`,
        `http://${server.host}/open`,
        `http://${server.host}/other`,
        `https://${server.host}`,
        'http://127.0.0.1/open',
        'http://localhost',
      ]
      for (const machine of machines) {
        const path = await file('apt/auth.conf', `machine ${machine} login me password pw\n`)
        server.seen.length = 0
        const options = [
          '-o',
          `Dir::Etc::netrc=${path}`,
          '-o',
          `Dir::Etc::netrcparts=${home}/none`,
          '-o',
          'APT::Sandbox::User=root',
          '-o',
          'Acquire::Retries=0',
        ]
        await run(aptHelper, [...options, 'download-file', `${server.origin}/open/x`, join(home, 'got')])
        await testClient({ logins: logins() }).http.get(`${server.origin}/open/x`, { maxBytes: 100 })
        const [apt, ours] = sentTo(server)
        expect([machine, ours]).toEqual([machine, apt])
      }
    },
  )
})

describe('credentials in the query of a manifest', () => {
  const start = async (queries: SecretQueries) => {
    const other = await startUpstream((_, response) => void response.end('other'))
    const upstream = await startUpstream((request, response) => {
      const [path] = (request.url ?? '').split('?')
      if (path === '/repo/inside') return void response.writeHead(302, { location: '/repo/b' }).end()
      if (path === '/repo/outside') return void response.writeHead(302, { location: '/b' }).end()
      if (path === '/repo/away') {
        response.writeHead(302, { location: `${other.origin}/repo/b` }).end()
        return
      }
      response.writeHead(path === '/repo/denied' ? 403 : 200).end('content')
    })
    queries.takeFrom(`${upstream.origin}/repo?token=s3cr`, 'stack.yaml:1:1')
    return { upstream, other }
  }

  it('are sent below its path, also by ranges and after a redirect there, and never to another server', async () => {
    const secretQueries = new SecretQueries()
    const { upstream, other } = await start(secretQueries)
    const { http } = testClient({ secretQueries, allowPrivateRedirects: true, logins: noWebLogins })
    const options = { maxBytes: 100 }
    for (const path of ['/repo/a', '/repo/inside', '/repo/outside', '/repo/away', '/elsewhere']) {
      const { url } = await http.get(`${upstream.origin}${path}`, options)
      expect(url).not.toContain('s3cr')
    }
    await http.size(`${upstream.origin}/repo/a`)
    expect(upstream.seen.map(({ url }) => url)).toEqual([
      '/repo/a?token=s3cr',
      '/repo/inside?token=s3cr',
      '/repo/b?token=s3cr',
      '/repo/outside?token=s3cr',
      '/b',
      '/repo/away?token=s3cr',
      '/elsewhere',
      '/repo/a?token=s3cr',
      '/repo/a?token=s3cr',
    ])
    expect(other.seen.map(({ url }) => url)).toEqual(['/repo/b'])
  })

  it('are not in the error, which says where to renew them', async () => {
    const secretQueries = new SecretQueries()
    const { upstream } = await start(secretQueries)
    const { http } = testClient({ secretQueries, logins: noWebLogins })
    const denied = http.get(`${upstream.origin}/repo/denied`, { maxBytes: 100 })
    const error = await failure(denied, 'UNAUTHORIZED')
    expect(error.item).toBe(`${upstream.origin}/repo/denied`)
    expect(error.next).toContain('renew the query of the URL in the manifest')
    expect(JSON.stringify(error)).not.toContain('s3cr')
  })
})
