import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { fetchPlace } from '../../../src/kinds/git/fetch-place.ts'
import { pinSettings } from '../../../src/kinds/git/pinned-address.ts'
import { gitOutput } from '../../../src/kinds/git/run-git.ts'
import { testRegistry } from '../../remote/support/clients.ts'

const packet = (text: string) => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`
const id = 'a'.repeat(40)
const advertisement = `${packet('# service=git-upload-pack\n')}0000${packet(`${id} refs/heads/main\0 \n`)}0000`
const signal = new AbortController().signal

async function serve(answer: RequestListener): Promise<{ port: number; requests: string[] }> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.headers.host}${request.url}`)
    answer(request, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { port: (server.address() as AddressInfo).port, requests }
}

const repository: RequestListener = (_, response) =>
  response
    .writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' })
    .end(advertisement)

/** Each name has a list of answers, the last of which repeats. */
function resolver(answers: Record<string, string[]>): LookupFunction {
  return (hostname, options, done) => {
    const left = answers[hostname] ?? []
    const address = left.length > 1 ? left.shift() : left[0]
    if (address === undefined) return done(Object.assign(new Error('ENOTFOUND'), { code: 'ENOTFOUND' }), '')
    if (options.all) done(null, [{ address, family: 4 }])
    else done(null, address, 4)
  }
}

async function listed(url: string, place: Awaited<ReturnType<typeof fetchPlace>>): Promise<string> {
  const pinned = await pinSettings(place.pin)
  const { redirects } = place
  const args = ['ls-remote', '--', url]
  return (await gitOutput({ args, network: 'remote', redirects, pinned, signal })).toString()
}

describe('git over http', () => {
  it('connects to the address that was judged, whatever DNS says then', async () => {
    const { port, requests } = await serve(repository)
    // this name is not known to git at all: it can only use the answer that was judged
    const { http } = testRegistry({ lookup: resolver({ 'judged.example': ['127.0.0.1'] }) })
    const url = `http://judged.example:${port}/a.git`
    const place = await fetchPlace(url, { http, namedBy: `http://127.0.0.1:${port}/b.git` })
    expect(place.pin).toEqual({
      protocol: 'http',
      hostname: 'judged.example',
      port: String(port),
      addresses: ['127.0.0.1'],
    })
    expect(await listed(place.url, place)).toContain(id)
    expect(requests.at(-1)).toContain(`judged.example:${port}/a.git/info/refs`)
  })

  it('connects nowhere where DNS did not know the name that an answer named', async () => {
    const { port, requests } = await serve(repository)
    const { http } = testRegistry({ lookup: resolver({}) })
    // git itself resolves it, to this machine
    const url = `http://localhost.:${port}/a.git`
    const unknown = await fetchPlace('http://unknown.example/a.git', {
      http,
      namedBy: 'http://public.example/',
    })
    expect(unknown.pin).toMatchObject({ addresses: [] })
    const pin = { protocol: 'http' as const, hostname: 'localhost.', port: String(port), addresses: [] }
    await expect(listed(url, { url, redirects: 'refused', pin })).rejects.toThrow('Failed to connect')
    expect(requests).toEqual([])
  })

  it('refuses a name whose second answer is this machine, and pins a redirect of a configured address', async () => {
    const { port } = await serve(repository)
    const answers = { 'turns.example': ['203.0.113.9', '127.0.0.1'], 'public.example': ['203.0.113.7'] }
    const { http } = testRegistry({ lookup: resolver(answers) })
    const namedBy = 'ssh://public.example/b.git'
    await expect(
      fetchPlace(`ssh://turns.example/a.git`, { http, namedBy }).then(() =>
        fetchPlace(`ssh://turns.example/a.git`, { http, namedBy }),
      ),
    ).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' })
    const { port: from } = await serve((request, response) =>
      response.writeHead(302, { location: `http://other.example:${port}${request.url}` }).end(),
    )
    const { http: second } = testRegistry({ lookup: resolver({ 'other.example': ['127.0.0.1'] }) })
    const place = await fetchPlace(`http://127.0.0.1:${from}/a.git`, { http: second, namedBy: undefined })
    expect(place).toMatchObject({
      url: `http://other.example:${port}/a.git`,
      pin: { addresses: ['127.0.0.1'] },
    })
    expect(await listed(place.url, place)).toContain(id)
    // what a person configured may be anywhere
    expect(
      await fetchPlace(`http://127.0.0.1:${port}/a.git`, { http: second, namedBy: undefined }),
    ).not.toHaveProperty('pin')
  })
})

describe('git over ssh', () => {
  function fakeSsh(answer: string): { calls: () => string } {
    const folder = mkdtempSync(join(tmpdir(), 'airgap-ssh-'))
    const [path, calls] = [join(folder, 'ssh'), join(folder, 'calls')]
    writeFileSync(
      path,
      `#!/bin/sh\nif [ "$1" = -G ]; then printf '${answer}'; exit; fi\necho "$@" >> ${calls}\nexit 1\n`,
    )
    chmodSync(path, 0o755)
    const before = process.env.PATH
    process.env.PATH = `${folder}:${before}`
    onTestFinished(() => {
      process.env.PATH = before
      rmSync(folder, { recursive: true, force: true })
    })
    return { calls: () => readFileSync(calls, 'utf8') }
  }
  const http = () =>
    testRegistry({ lookup: resolver({ 'git.example': ['203.0.113.9'], 'public.example': ['203.0.113.7'] }) })
      .http

  it('connects to the judged address under the host key of the name', async () => {
    const ssh = fakeSsh(String.raw`hostname git.example\nport 22\n`)
    const client = http()
    for (const port of ['', ':2222']) {
      const url = `ssh://git@git.example${port}/a.git`
      const place = await fetchPlace(url, { http: client, namedBy: 'ssh://public.example/b.git' })
      await expect(listed(url, place)).rejects.toThrow()
    }
    const [first, second] = ssh
      .calls()
      .split('\n')
      .filter(line => line.includes('git-upload-pack'))
    expect(first).toContain('-o HostName=203.0.113.9 -o HostKeyAlias=git.example ')
    expect(second).toContain('-o HostName=203.0.113.9 -o HostKeyAlias=[git.example]:2222 ')
  })

  it.each([
    ['another host', String.raw`hostname ssh.example\n`],
    ['a jump host', String.raw`hostname git.example\nproxyjump gate.example\n`],
    ['a command', String.raw`hostname git.example\nproxycommand nc %%h\n`],
  ])('keeps to the user’s own configuration where it sends the host to %s', async (_, answer) => {
    fakeSsh(answer)
    const place = await fetchPlace('git@git.example:a.git', {
      http: http(),
      namedBy: 'ssh://public.example/b.git',
    })
    expect(await pinSettings(place.pin)).toEqual({ settings: [], environment: {} })
  })
})
