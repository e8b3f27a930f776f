import { copyFile, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missingPrograms, run } from '../../scripts/lib/run.ts'
import { type DockerRegistry, startDockerRegistry } from '../../scripts/lib/upstreams/docker-registry.ts'
import {
  createLayout,
  hashFile,
  putImage,
  putIndex,
  putIndexOf,
  tagLayout,
} from '../../scripts/lib/upstreams/oci-layout.ts'
import { airgap } from './lib/airgap.ts'
import { startOpenRegistry } from './lib/open-registry.ts'

const lacking = missingPrograms(['docker-registry', 'skopeo', 'oras', 'helm', 'htpasswd'])
const login = { user: 'pusher', password: 'of the site' }
const auth = Buffer.from(`${login.user}:${login.password}`).toString('base64')

interface Pushed {
  from: string
  to: string
  digest: string
  published?: string
  platforms?: string[]
}

/** `airgap push` by the real oras into real registries. */
describe.skipIf(lacking.length > 0)(`push (needs ${lacking.join(', ') || 'nothing more'})`, () => {
  const resources = new AsyncDisposableStack()
  let work: string
  let upstream: DockerRegistry
  let bundle: string
  let charts: string

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap-e2e-push-'))
    resources.defer(() => rm(work, { recursive: true, force: true }))
    upstream = await openRegistry('upstream')
    await pushImages()
    const attested = await digestAt(`${upstream.host}/library/attested:1`)
    await cosign('cosigned')
    charts = await serveCharts()
    bundle = await build('all', [
      'images:',
      '  - {ref: docker.io/library/single:1, referrers: true}',
      '  - docker.io/library/docker2:1',
      '  - {ref: docker.io/library/both:1, platforms: [linux/amd64, linux/arm64]}',
      '  - docker.io/library/one-of-two:1',
      '  - {ref: docker.io/library/two-of-three:1, platforms: [linux/amd64, linux/arm64]}',
      `  - docker.io/library/attested@${attested}`,
      '  - {ref: docker.io/library/cosigned:1, referrers: true}',
      'charts:',
      '  - {name: hello, repo: "oci://docker.io/charts", version: 1.0.0}',
      `  - {name: classic, repo: "${charts}", version: 1.0.0}`,
    ])
  })

  afterAll(() => resources.disposeAsync())

  async function openRegistry(name: string, options?: { login: typeof login }): Promise<DockerRegistry> {
    const registry = await startDockerRegistry(join(work, name), options)
    resources.defer(() => registry.close())
    return registry
  }

  async function build(name: string, lines: string[]): Promise<string> {
    const manifest = join(work, `${name}.yaml`)
    const head = ['apiVersion: airgap/v1', `name: ${name}`, 'version: 1.0.0']
    await writeFile(manifest, [...head, ...lines, ''].join('\n'))
    const out = join(work, `${name}.tar`)
    const options = ['-f', manifest, '--cache', join(work, 'cache'), '--out', out]
    // any file will do for the runtime: nothing of this bundle runs
    const env = { AIRGAP_NODE_RUNTIME: resolve(import.meta.dirname, '../../bundle/offline-deploy') }
    const ran = await airgap(['build', ...options, '--remap', `docker.io=http://${upstream.host}`], { env })
    expect(ran).toMatchObject({ code: 0 })
    return out
  }

  /** single (with three referrers), docker2, both, one-of-two, two-of-three, attested, cosigned. */
  async function pushImages(): Promise<void> {
    const layout = join(work, 'layout')
    await createLayout(layout)
    const image = async (name: string, architecture: string) => {
      const path = join(layout, `${name}-${architecture}`)
      await writeFile(path, `not a tar, which nobody here opens: ${name} ${architecture}`)
      const layers = [{ path, gzip: false, diffId: (await hashFile(path)).digest }]
      return { image: await putImage(layout, { architecture, layers }), architecture }
    }
    const index = async (name: string, architectures: string[]) =>
      await putIndex(layout, await Promise.all(architectures.map(each => image(name, each))))
    const x86 = (await image('attested', 'amd64')).image
    const statement = (await image('statement', 'unknown')).image
    // skopeo compresses the layers when it pushes, and keeps this digest: of real indexes, too
    const describes = {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': x86.digest,
    }
    await tagLayout(layout, {
      attested: await putIndexOf(layout, [
        { ...x86, platform: { os: 'linux', architecture: 'amd64' } },
        { ...statement, platform: { os: 'unknown', architecture: 'unknown' }, annotations: describes },
      ]),
      cosigned: (await image('cosigned', 'amd64')).image,
      single: (await image('single', 'amd64')).image,
      both: await index('both', ['amd64', 'arm64']),
      'one-of-two': await index('one-of-two', ['amd64', 'arm64']),
      'two-of-three': await index('two-of-three', ['amd64', 'arm64', 's390x']),
    })
    upstream.push(`${layout}:single`, 'library/single:1')
    upstream.push(`${layout}:single`, 'library/docker2:1', ['--format', 'v2s2'])
    upstream.push(`${layout}:cosigned`, 'library/cosigned:1')
    for (const name of ['both', 'one-of-two', 'two-of-three', 'attested'])
      upstream.push(`${layout}:${name}`, `library/${name}:1`, ['--all'])
    await writeFile(join(work, 'signature.txt'), 'signed')
    for (const kind of ['signature', 'sbom', 'provenance']) {
      const subject = [`${upstream.host}/library/single:1`, 'signature.txt:text/plain']
      await run(
        ['oras', 'attach', '--plain-http', '--artifact-type', `application/vnd.example.${kind}`, ...subject],
        { cwd: work },
      )
    }
  }

  /** Attaches a signature as cosign 2 does: an image without a platform, under a tag made of the digest. */
  async function cosign(name: string): Promise<void> {
    const repository = `${upstream.host}/library/${name}`
    const tag = `${(await digestAt(`${repository}:1`)).replace(':', '-')}.sig`
    await writeFile(join(work, 'empty.json'), '{"architecture":"","os":"","config":{}}')
    await writeFile(join(work, 'payload.json'), '{"critical":{}}')
    const config = 'empty.json:application/vnd.oci.image.config.v1+json'
    const layer = 'payload.json:application/vnd.dev.cosign.simplesigning.v1+json'
    await run(['oras', 'push', '--plain-http', `${repository}:${tag}`, '--config', config, layer], {
      cwd: work,
    })
  }

  /** An upstream for OCI charts, and a classic chart repository. */
  async function serveCharts(): Promise<string> {
    const repository = join(work, 'charts')
    for (const name of ['hello', 'classic']) {
      const folder = join(work, name)
      await mkdir(folder)
      await writeFile(join(folder, 'Chart.yaml'), `apiVersion: v2\nname: ${name}\nversion: 1.0.0\n`)
      const archives = name === 'classic' ? repository : work
      await run(['helm', 'package', folder, '--destination', archives])
    }
    const hello = [join(work, 'hello-1.0.0.tgz'), `oci://${upstream.host}/charts`]
    await run(['helm', 'push', ...hello, '--plain-http'])
    await run(['helm', 'repo', 'index', repository])
    const server = createServer(async (request, response) => {
      response.end(await readFile(join(repository, request.url?.slice(1) ?? '')).catch(() => ''))
    })
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    resources.defer(() => {
      server.closeAllConnections()
      server.close()
    })
    return `http://127.0.0.1:${(server.address() as { port: number }).port}`
  }

  async function rawAt(reference: string, options: string[] = []): Promise<string> {
    return await run([
      'skopeo',
      'inspect',
      '--raw',
      '--tls-verify=false',
      ...options,
      `docker://${reference}`,
    ])
  }

  async function digestAt(reference: string, options: string[] = []): Promise<string> {
    const file = join(work, 'inspected.json')
    await writeFile(file, await rawAt(reference, options))
    return (await hashFile(file)).digest
  }

  async function push(args: string[]): Promise<Pushed[]> {
    const ran = await airgap(['push', bundle, ...args, '-o', 'json'])
    expect(ran).toMatchObject({ code: 0 })
    return JSON.parse(ran.stdout).pushed
  }

  it('copies images, indexes, referrers and charts, with the digests of the bundle', async () => {
    const target = await openRegistry('open')
    const pushed = await push([target.host, '--plain-http'])
    expect(pushed).toHaveLength(13)
    for (const { to, digest } of pushed) expect([to, await digestAt(to)]).toEqual([to, digest])
    for (const name of ['single', 'docker2', 'both'])
      expect(await digestAt(`${target.host}/library/${name}:1`)).toBe(
        await digestAt(`${upstream.host}/library/${name}:1`),
      )
    const signature = `${(await digestAt(`${target.host}/library/cosigned:1`)).replace(':', '-')}.sig`
    expect(await rawAt(`${target.host}/library/cosigned:${signature}`)).toContain('simplesigning')
    const found = await run(['oras', 'discover', '--plain-http', `${target.host}/library/single:1`])
    for (const kind of ['signature', 'sbom', 'provenance'])
      expect(found).toContain(`application/vnd.example.${kind}`)
    for (const name of ['hello', 'classic']) {
      const source = [`oci://${target.host}/charts/${name}`, '--version', '1.0.0', '--plain-http']
      await run(['helm', 'pull', ...source, '--destination', join(work)])
    }
    expect(await hashFile(join(work, 'classic-1.0.0.tgz'))).toEqual(
      await hashFile(join(work, 'charts', 'classic-1.0.0.tgz')),
    )
  })

  it('reports where a registry that requires complete indexes has another digest than the publisher', async () => {
    const target = await openRegistry('strict')
    const pushed = await push([target.host, '--plain-http'])
    const one = pushed.find(row => row.from === 'docker.io/library/one-of-two:1')
    expect(one).toMatchObject({
      platforms: ['linux/amd64'],
      published: await digestAt(`${upstream.host}/library/one-of-two:1`),
    })
    expect(await digestAt(`${target.host}/library/one-of-two:1`)).toBe(one?.digest)
    const two = JSON.parse(await rawAt(`${target.host}/library/two-of-three:1`))
    expect(two.manifests.map((child: { platform: { architecture: string } }) => child.platform)).toEqual([
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm64', variant: 'v8' },
    ])
    const copy = ['copy', '-q', '--src-tls-verify=false', '--override-arch', 'arm64']
    await run([
      'skopeo',
      ...copy,
      `docker://${target.host}/library/two-of-three:1`,
      `dir:${join(work, 'pulled')}`,
    ])
    const { stdout } = await airgap(['push', bundle, target.host, '--plain-http'])
    expect(stdout).toMatch(
      /one-of-two:1\n +carried for linux\/amd64 only, and the registry refuses .*\n.*pulling by the publisher's sha256:/,
    )
    expect(stdout).toMatch(
      /13 artifacts in the registry, 2 with a digest that differs from the publisher's\n$/,
    )
  })

  it('keeps the digest of an incomplete index where the registry accepts it; a second run copies nothing', async () => {
    const target = await startOpenRegistry()
    resources.defer(() => target.close())
    const pushed = await push([target.host, '--plain-http'])
    for (const name of ['one-of-two', 'two-of-three']) {
      const published = await digestAt(`${upstream.host}/library/${name}:1`)
      expect(target.digest(`library/${name}`, '1')).toBe(published)
      const row = pushed.find(({ to }) => to.endsWith(`/${name}:1`))
      expect(row).toMatchObject({ digest: published, platforms: expect.arrayContaining(['linux/amd64']) })
      expect(row).not.toHaveProperty('published')
    }
    expect(target.requests.filter(request => request.startsWith('POST')).length).toBeGreaterThan(10)
    target.requests.length = 0
    await push([target.host, '--plain-http'])
    expect(target.requests.filter(request => !/^(HEAD|GET|PUT .*\/manifests\/)/.test(request))).toEqual([])
  })

  it('fault 97: uses the credentials of a config file, and never shows them', async () => {
    const target = await openRegistry('closed', { login })
    const config = join(work, 'config.json')
    await writeFile(config, JSON.stringify({ auths: { [target.host]: { auth } } }))
    const seen = join(work, 'arguments.txt')
    const oras = join(work, 'oras')
    await writeFile(oras, `#!/bin/sh\nprintf '%s\\n' "$*" >> '${seen}'\nexec oras "$@"\n`, { mode: 0o755 })
    const access = ['--plain-http', '--keep-host', '--registry-config', config, '--oras', oras]
    const pushed = await airgap(['push', bundle, `${target.host}/team`, ...access, '--verbose'])
    expect(pushed).toMatchObject({ code: 0 })
    const text = pushed.stdout + pushed.stderr + (await readFile(seen, 'utf8'))
    expect(text).toContain('--to-registry-config')
    for (const secret of [login.password, auth]) expect(text).not.toContain(secret)
    const name = `${target.host}/team/docker.io/library/single:1`
    expect(await digestAt(name, ['--creds', `${login.user}:${login.password}`])).toBe(
      await digestAt(`${upstream.host}/library/single:1`),
    )
  })

  it('fault 97: stops with 5 where the password is missing or wrong, and advises what to do', async () => {
    const target = await openRegistry('guarded', { login })
    const wrong = Buffer.from(`${login.user}:something-else`).toString('base64')
    for (const auths of [{}, { [target.host]: { auth: wrong } }]) {
      const config = join(work, 'refused.json')
      await writeFile(config, JSON.stringify({ auths }))
      const pushed = await airgap(['push', bundle, target.host, '--plain-http', '--registry-config', config])
      expect([pushed.code, pushed.stderr]).toEqual([5, expect.stringContaining('error UNAUTHORIZED')])
      expect(pushed.stderr).toContain('oras login')
      expect(pushed.stderr).toContain(`item:   ${target.host}/`)
      expect(pushed.stderr).not.toContain(wrong)
      expect(pushed.stderr).not.toContain('something-else')
    }
  })

  it('passes oras the login of the path that covers a repository, and no other', async () => {
    const target = await openRegistry('paths', { login })
    const config = join(work, 'paths.json')
    const wrong = { auth: Buffer.from('other:team').toString('base64') }
    const access = ['--plain-http', '--registry-config', config]
    const auths = (own: string, other: string) => ({
      [`${target.host}/${other}`]: wrong,
      [`${target.host}/${own}`]: { auth },
    })
    await writeFile(config, JSON.stringify({ auths: auths('team', 'other') }))
    expect(await airgap(['push', bundle, `${target.host}/team`, ...access])).toMatchObject({ code: 0 })
    // the right password, for another path: it must not be sent
    await writeFile(config, JSON.stringify({ auths: auths('elsewhere', 'other') }))
    const pushed = await airgap(['push', bundle, `${target.host}/team`, ...access])
    expect([pushed.code, pushed.stderr]).toEqual([5, expect.stringContaining('error UNAUTHORIZED')])
  })

  it('stops with 5 where there is no registry, or one with plain HTTP', async () => {
    const gone = await startOpenRegistry()
    await gone.close()
    const nobody = await airgap(['push', bundle, gone.host, '--plain-http'])
    expect([nobody.code, nobody.stderr]).toEqual([5, expect.stringContaining('error NETWORK')])
    const plain = await airgap(['push', bundle, upstream.host])
    expect([plain.code, plain.stderr]).toEqual([5, expect.stringMatching(/TLS_FAILED[\s\S]*--plain-http/)])
  })

  it('stops with 7 where oras is missing, and advises how to get it', async () => {
    const there = ['push', bundle, '127.0.0.1:1', '--plain-http', '--oras']
    const pushed = await airgap([...there, join(work, 'no-oras')])
    expect([pushed.code, pushed.stderr]).toEqual([7, expect.stringContaining('error TOOL_MISSING')])
    expect(pushed.stderr).toMatch(/scripts\/setup --with-oras[\s\S]*oras\.land/)
    expect(await airgap([...there, '/bin/true'])).toMatchObject({ code: 7 })
  })

  it('sends no request with --dry-run', async () => {
    const pushed = await push(['127.0.0.1:1/team', '--dry-run', '--oras', join(work, 'no-oras')])
    expect(pushed.map(row => row.to)).toContain('127.0.0.1:1/team/charts/classic:1.0.0')
  })

  it.each(['single', 'one-of-two'])('fault 63: stops with 6 where %s is damaged', async name => {
    const text = await readFile(bundle, 'latin1')
    const damaged = join(work, `damaged-${name}.tar`)
    await copyFile(bundle, damaged)
    const file = await open(damaged, 'r+')
    await file.write('N', text.lastIndexOf(`not a tar, which nobody here opens: ${name} amd64`))
    await file.close()
    const target = await startOpenRegistry()
    resources.defer(() => target.close())
    const pushed = await airgap(['push', damaged, target.host, '--plain-http'])
    expect([pushed.code, pushed.stderr]).toEqual([6, expect.stringContaining('the bundle is damaged')])
    expect(target.digest(`library/${name}`, '1')).toBeUndefined()
  })

  it('continues with the others where the registry refuses the digest of one', async () => {
    const digest = await digestAt(`${upstream.host}/library/one-of-two:1`)
    const images = [`  - docker.io/library/one-of-two@${digest}`, '  - docker.io/library/single:1']
    const untagged = await build('untagged', ['images:', ...images])
    const target = await openRegistry('untagged-target')
    const pushed = await airgap(['push', untagged, target.host, '--plain-http', '-j', '1'])
    expect([pushed.code, pushed.stderr]).toEqual([4, expect.stringContaining('by tag and digest')])
    expect(await digestAt(`${target.host}/library/single:1`)).toMatch(/^sha256:/)
  })
})
