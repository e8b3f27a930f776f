import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missing } from '../kinds/deb/support/programs.ts'
import { airgap, type Ran } from './lib/airgap.ts'
import { contentOf, makePublisher, send, serveOn } from './lib/publisher.ts'

const lacking = missing('apt-ftparchive', 'dpkg-deb', 'gpg')
const password = 'c4nary:s3cr3t'

/** A publisher whose archive, index, charts and files need a login: as Nexus, Artifactory or Ubuntu Pro do. */
describe.skipIf(lacking.length > 0)(`logins (needs ${lacking.join(', ') || 'nothing more'})`, () => {
  const resources = new AsyncDisposableStack()
  let files: Map<string, Buffer>
  let work: string
  let url: string
  let keys: string
  let refused = 0
  const said: Ran[] = []

  beforeAll(async () => {
    ;({ work, files, keys } = await makePublisher(resources))
    url = await serve()
    await writeFile(join(work, 'stack.yaml'), manifest(url))
  })
  afterAll(() => resources.disposeAsync())

  async function serve(): Promise<string> {
    const wanted = `Basic ${Buffer.from(`me:${password}`).toString('base64')}`
    return await serveOn(resources, (request, response) => {
      if (request.headers.authorization === wanted)
        return send(request, response, files.get(decodeURIComponent(request.url ?? '')))
      refused++
      response.writeHead(401, { 'www-authenticate': 'Basic realm="publisher"' }).end()
    })
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
      ...(await contentOf(join(work, 'cache'))),
    ]
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

  it.each([
    'docker.io=https://me:c4nary@mirror.example',
    'docker.io=https://me:c4/nary@mirror.example',
    'docker.io=https://mirror.example?token=c4nary',
    'https://me:c4nary@mirror.example',
  ])('in --remap are refused before anything is requested: %s', async remap => {
    refused = 0
    const { code, stderr } = await run('lock', '--remap', remap)
    expect(code, stderr).toBe(2)
    expect(stderr).not.toMatch(/c4|nary/)
    expect(refused).toBe(0)
  })
})
