import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missing } from '../kinds/deb/support/programs.ts'
import { airgap, type Ran } from './lib/airgap.ts'
import { chartFile, contentOf, makePublisher, send, serveOn, wheel } from './lib/publisher.ts'

const lacking = missing('apt-ftparchive', 'dpkg-deb', 'gpg')

/** Of an object store with SAS or presigned URLs, of a host with tokens, and of links that a page and a redirect sign. */
const secrets = ['c4narySig', 'c4naryToken', 'c4naryLink', 'c4naryRedirect', 'c4naryCredential']

describe.skipIf(lacking.length > 0)(
  `credentials in the query of a URL (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    const said: Ran[] = []
    let files: Map<string, Buffer>
    let work: string
    let keys: string
    let url: string
    let cdn: string
    let refused = 0

    beforeAll(async () => {
      cdn = await serveOn(resources, (request, response) => {
        const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x')
        const signature = searchParams.get('X-Amz-Signature')
        const wanted = pathname === '/redirected' ? 'c4naryRedirect' : 'c4naryLink'
        if (signature !== wanted || searchParams.has('token')) return void response.writeHead(403).end()
        const found = {
          '/web.tgz': chartFile,
          '/pear-1.0-py3-none-any.whl': wheel,
          '/redirected': Buffer.from('a tool'),
        }
        send(request, response, found[pathname as keyof typeof found])
      })
      const signed = 'X-Amz-Algorithm=A&X-Amz-Credential=c4naryCredential&X-Amz-Signature=c4naryLink'
      const made = await makePublisher(resources, {
        chart: `${cdn}/web.tgz?${signed}`,
        wheel: `${cdn}/pear-1.0-py3-none-any.whl?${signed}`,
      })
      ;({ files, work, keys } = made)
      url = await serveOn(resources, (request, response) => {
        const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x')
        const isSas = searchParams.get('sig') === 'c4narySig' && searchParams.get('sp') === 'rl'
        if (!isSas && searchParams.get('token') !== 'c4naryToken') {
          refused++
          return void response.writeHead(403).end()
        }
        if (pathname === '/tools/moved')
          return void response
            .writeHead(302, { location: `${cdn}/redirected?X-Amz-Signature=c4naryRedirect` })
            .end()
        send(request, response, files.get(decodeURIComponent(pathname)))
      })
      await writeFile(
        join(work, 'stack.yaml'),
        manifest('?sp=rl&sv=2022&sig=c4narySig', '?token=c4naryToken'),
      )
    })
    afterAll(() => resources.disposeAsync())

    const manifest = (sas: string, token: string) => `apiVersion: airgap/v1
name: signed
version: 1.0.0
debs:
  - {name: d, archive: "${url}/debs${sas}", suite: stable, keys: ["${keys}"], packages: [app]}
wheels:
  - {name: w, indexes: ["${url}/simple/${token}"], packages: [pear], pythons: ["3.11"]}
charts:
  - {name: web, repo: "${url}/charts${sas}", version: 1.2.3}
files:
  - {url: "${url}/tools/tool${token}"}
  - {url: "${url}/tools/moved${token}"}
`

    async function run(...args: string[]): Promise<Ran> {
      const common = ['-f', join(work, 'stack.yaml'), '--cache', join(work, 'cache')]
      const env = { HOME: join(work, 'home'), NETRC: '', AIRGAP_NETRC: '' }
      const ran = await airgap([...args, ...common, '--log-format', 'json', '--verbose'], { env, cwd: work })
      said.push(ran)
      return ran
    }

    it('locks and builds everything; it is in no lock, bundle, cache or message', async () => {
      for (const args of [['lock'], ['plan'], ['build', '--frozen', '--out', join(work, 'b.tar')]]) {
        const { code, stderr } = await run(...args)
        expect(code, stderr).toBe(0)
      }
      expect(refused).toBe(0)
      const lock = await readFile(join(work, 'stack.lock.json'), 'utf8')
      for (const link of [
        `${cdn}/web.tgz`,
        `${cdn}/pear-1.0-py3-none-any.whl`,
        `${url}/debs`,
        `${url}/tools/moved`,
      ])
        expect(lock).toMatch(new RegExp(`"${link}["/]`))
    })

    it('may be renewed; a build without it says what is missing', async () => {
      const before = await readFile(join(work, 'stack.lock.json'))
      const build = ['build', '--frozen', '--out', join(work, 'c.tar')]
      await rm(join(work, 'cache'), { recursive: true })
      await writeFile(join(work, 'stack.yaml'), manifest('', ''))
      const bare = await run(...build, '--keep-going')
      expect(bare.stderr).toContain('add its token or signature to the URL in the manifest')
      await writeFile(join(work, 'stack.yaml'), manifest('?sp=rl&sig=c4narySig', '?token=wrong-c4naryToken'))
      const wrong = await run(...build, '--keep-going')
      expect(wrong.stderr).toContain('renew the query of the URL in the manifest')
      await writeFile(join(work, 'stack.yaml'), manifest('?sp=rl&sig=c4narySig', '?token=c4naryToken'))
      // links that the publisher's page signs are known while locking only
      expect((await run(...build)).stderr).toContain('run `airgap lock` again')
      expect((await run('lock')).code).toBe(0)
      const built = await run(...build)
      expect(built.code, built.stderr).toBe(0)
      expect((await readFile(join(work, 'stack.lock.json'))).equals(before)).toBe(true)
      expect((await readFile(join(work, 'c.tar'))).equals(await readFile(join(work, 'b.tar')))).toBe(true)
    })

    it('is shown by no mistake in the manifest, and refused for git', async () => {
      const git = `git:\n  - {name: g, url: "${url}/g.git?private_token=c4naryToken", ref: main}\n`
      await writeFile(join(work, 'stack.yaml'), `${manifest('', '?token=c4naryToken&x=1')}${git}`)
      const { code, stderr } = await run('lock')
      expect(code).toBe(2)
      expect(stderr).toContain('which git cannot send')
      expect(stderr).toContain('contains a query or a fragment')
      await writeFile(
        join(work, 'stack.yaml'),
        `${manifest('', '?token=c4naryToken')}  - {url: "${url}/tools/tool?token=other", path: b}\n`,
      )
      const twice = await run('lock')
      expect(twice.stderr).toContain('differ only in the credentials of their query')
      expect(twice.stderr).toMatch(/stack\.yaml:11:\d+ and [^ ]*stack\.yaml:13:\d+: http/)
    })

    it('is nowhere', async () => {
      const texts: [string, Buffer][] = [
        ['lock', await readFile(join(work, 'stack.lock.json'))],
        ['bundle', await readFile(join(work, 'b.tar'))],
        ...said.map(({ stdout, stderr }): [string, Buffer] => [stderr, Buffer.from(stdout + stderr)]),
        ...(await contentOf(join(work, 'cache'))).map((file): [string, Buffer] => ['cache', file]),
      ]
      for (const secret of secrets)
        expect(texts.flatMap(([name, text]) => (text.includes(secret) ? [name] : []), secret)).toEqual([])
    })
  },
)
