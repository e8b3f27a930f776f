import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { chartTgz, indexYaml } from '../kinds/chart/support.ts'
import { Gpg, makeArchive, signArchive } from '../kinds/deb/support/archive.ts'
import { missing, tempFolder } from '../kinds/deb/support/programs.ts'
import { wheelFile } from '../kinds/wheel/support/wheel-file.ts'
import { airgap, type Ran } from './lib/airgap.ts'

const lacking = missing('apt-ftparchive', 'dpkg-deb', 'gpg')
const password = 'c4nary:s3cr3t'

/** A publisher whose archive, index, charts and files need a login: as Nexus, Artifactory or Ubuntu Pro do. */
describe.skipIf(lacking.length > 0)(`logins (needs ${lacking.join(', ') || 'nothing more'})`, () => {
  const resources = new AsyncDisposableStack()
  const files = new Map<string, Buffer>()
  let work: string
  let url: string
  let keys: string
  let refused = 0
  const said: Ran[] = []

  beforeAll(async () => {
    work = resources.use(await tempFolder()).path
    await mkdir(join(work, 'home'))
    const gpg = resources.use(await Gpg.open(join(work, 'gnupg')))
    await gpg.makeKey('publisher')
    keys = await gpg.exportTo(join(work, 'publisher.asc'), 'publisher')
    const archive = join(work, 'archive')
    await makeArchive(archive, { suite: 'stable', packages: [{ name: 'app' }] })
    await signArchive(archive, { gpg, suite: 'stable', users: ['publisher'] })
    for (const entry of await readdir(archive, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (entry.isFile()) files.set(`/debs${path.slice(archive.length)}`, await readFile(path))
    }
    const chart = chartTgz({ name: 'web', version: '1.2.3' })
    files.set('/charts/web-1.2.3.tgz', chart)
    files.set(
      '/charts/index.yaml',
      Buffer.from(
        indexYaml({ web: [{ version: '1.2.3', url: 'web-1.2.3.tgz', digest: hexOf(digestOf(chart)) }] }),
      ),
    )
    const { bytes: wheel } = wheelFile({ name: 'pear', version: '1.0' })
    files.set('/packages/pear-1.0-py3-none-any.whl', wheel)
    files.set(
      '/simple/pear/',
      Buffer.from(
        `<a href="../../packages/pear-1.0-py3-none-any.whl#sha256=${hexOf(digestOf(wheel))}">pear-1.0-py3-none-any.whl</a>`,
      ),
    )
    files.set('/tools/tool', Buffer.from('a tool'))
    url = await serve()
    await writeFile(join(work, 'stack.yaml'), manifest(url))
  })
  afterAll(() => resources.disposeAsync())

  async function serve(): Promise<string> {
    const wanted = `Basic ${Buffer.from(`me:${password}`).toString('base64')}`
    const server = createServer((request, response) => {
      const found = files.get(decodeURIComponent(request.url ?? ''))
      if (request.headers.authorization !== wanted) {
        refused++
        response.writeHead(401, { 'www-authenticate': 'Basic realm="publisher"' }).end()
      } else if (found === undefined) response.writeHead(404).end()
      else
        response
          .writeHead(200, { 'content-length': found.length, 'content-type': 'application/octet-stream' })
          .end(request.method === 'HEAD' ? undefined : found)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    resources.defer(async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  const manifest = (base: string) => `apiVersion: airgap/v1
name: logins
version: 1.0.0
debs:
  - {name: d, archive: "${base}/debs", suite: stable, keys: ["${keys}"], packages: [app]}
wheels:
  - {name: w, indexes: ["${base}/simple/"], packages: [pear], pythons: ["3.11"]}
charts:
  - {name: web, repo: "${base}/charts", version: 1.2.3}
files:
  - {url: "${base}/tools/tool"}
`

  async function run(...args: string[]): Promise<Ran> {
    const env = { HOME: join(work, 'home'), NETRC: '', AIRGAP_NETRC: '' }
    const ran = await airgap(
      [
        ...args,
        '-f',
        join(work, 'stack.yaml'),
        '--cache',
        join(work, 'cache'),
        '--log-format',
        'json',
        '--verbose',
      ],
      { env, cwd: work },
    )
    said.push(ran)
    return ran
  }

  it('are missing: the error says where to write one', async () => {
    const { code, stderr } = await run('lock')
    expect(code, stderr).toBe(5)
    expect(stderr).toContain('machine 127.0.0.1 login NAME password PASSWORD')
    expect(refused).toBeGreaterThan(0)
  })

  it('in ~/.netrc lock and build everything; the password is in no lock, bundle, cache or message', async () => {
    await writeFile(join(work, 'home/.netrc'), `machine 127.0.0.1\n  login me\n  password ${password}\n`)
    refused = 0
    for (const args of [['lock'], ['plan'], ['build', '--frozen', '--out', join(work, 'b.tar')]]) {
      const { code, stderr } = await run(...args)
      expect(code, stderr).toBe(0)
    }
    expect(refused).toBe(0)
    const lock = await readFile(join(work, 'stack.lock.json'))
    for (const path of ['pool/app_1.0_all.deb', '/charts/web-1.2.3.tgz', '/tools/tool', '/packages/pear'])
      expect(lock.toString()).toContain(path)
    const secrets = [password, 'c4nary', Buffer.from(`me:${password}`).toString('base64')]
    const texts = [
      lock,
      await readFile(join(work, 'b.tar')),
      ...said.flatMap(({ stdout, stderr }) => [Buffer.from(stdout), Buffer.from(stderr)]),
    ]
    for (const entry of await readdir(join(work, 'cache'), { recursive: true, withFileTypes: true }))
      if (entry.isFile()) texts.push(await readFile(join(entry.parentPath, entry.name)))
    for (const secret of secrets) expect(texts.filter(text => text.includes(secret))).toEqual([])
  })

  it('in a URL are refused before anything is requested', async () => {
    refused = 0
    await writeFile(
      join(work, 'stack.yaml'),
      manifest(url.replace('//', `//me:${encodeURIComponent(password)}@`)),
    )
    const { code, stderr } = await run('lock')
    expect(code).toBe(2)
    for (const line of [5, 7, 9, 11])
      expect(stderr).toMatch(new RegExp(`stack\\.yaml:${line}:\\d+: http://…@127`))
    expect(stderr).not.toMatch(/c4nary|s3cr3t/)
    expect(refused).toBe(0)
  })
})
