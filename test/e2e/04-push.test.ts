import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DockerRegistry, startDockerRegistry } from '../../scripts/lib/docker-registry.ts'
import { createLayout, hashFile, putImage, putIndex, tagLayout } from '../../scripts/lib/oci-layout.ts'
import { makeRandomImage } from '../../scripts/lib/random-image.ts'
import { missingPrograms, run } from '../../scripts/lib/run.ts'
import { airgap } from './lib/airgap.ts'

const lacking = missingPrograms(['docker-registry', 'skopeo', 'oras', 'helm', 'htpasswd'])
const login = { user: 'pusher', password: 'of the site' }

/** `airgap push` by the real oras into real registries. */
describe.skipIf(lacking.length > 0)(`push (needs ${lacking.join(', ') || 'nothing more'})`, () => {
  const resources = new AsyncDisposableStack()
  let work: string
  let bundle: string
  /** name in a registry → digest there, as the upstream has it */
  const upstreamDigests: Record<string, string> = {}

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap-e2e-push-'))
    resources.defer(() => rm(work, { recursive: true, force: true }))
    const upstream = await openRegistry('upstream')
    await makeRandomImage(join(work, 'image'), { layers: 3, layerSize: 1 << 20 })
    upstream.push(`${join(work, 'image')}:1`, 'library/load:1')
    await makeTwoPlatforms(join(work, 'both'))
    upstream.push(`${join(work, 'both')}:both`, 'library/both:1', ['--all'])
    await pushChart(upstream)
    for (const name of ['library/load:1', 'library/both:1', 'charts/hello:1.0.0'])
      upstreamDigests[name] = await digestAt(upstream.host, { name })
    const manifest = join(work, 'stack.yaml')
    await writeFile(
      manifest,
      [
        ...['apiVersion: airgap/v1', 'name: push', 'version: 1.0.0'],
        ...['images:', '  - docker.io/library/load:1'],
        ...['  - ref: docker.io/library/both:1', '    platforms: [linux/amd64, linux/arm64]'],
        ...['charts:', '  - {name: hello, repo: "oci://docker.io/charts", version: 1.0.0}', ''],
      ].join('\n'),
    )
    bundle = join(work, 'push-1.0.0.tar')
    const common = [
      '-f',
      manifest,
      '--cache',
      join(work, 'cache'),
      '--remap',
      `docker.io=http://${upstream.host}`,
    ]
    expect(await airgap(['lock', ...common])).toMatchObject({ code: 0 })
    expect(await airgap(['build', ...common, '--frozen', '--out', bundle])).toMatchObject({ code: 0 })
  })

  afterAll(() => resources.disposeAsync())

  async function openRegistry(name: string, options?: { login: typeof login }): Promise<DockerRegistry> {
    const registry = await startDockerRegistry(join(work, name), options)
    resources.defer(() => registry.close())
    return registry
  }

  async function makeTwoPlatforms(folder: string): Promise<void> {
    await createLayout(folder)
    const images = []
    for (const architecture of ['amd64', 'arm64']) {
      const path = join(folder, `layer-${architecture}`)
      await writeFile(path, `not a tar, which nobody here opens: ${architecture}`)
      const layers = [{ path, gzip: false, diffId: (await hashFile(path)).digest }]
      images.push({ image: await putImage(folder, { architecture, layers }), architecture })
    }
    await tagLayout(folder, { both: await putIndex(folder, images) })
  }

  async function pushChart(registry: DockerRegistry): Promise<void> {
    const folder = join(work, 'hello')
    await mkdir(folder)
    await writeFile(join(folder, 'Chart.yaml'), 'apiVersion: v2\nname: hello\nversion: 1.0.0\n')
    await run(['helm', 'package', folder, '--destination', work])
    await run([
      'helm',
      'push',
      join(work, 'hello-1.0.0.tgz'),
      `oci://${registry.host}/charts`,
      '--plain-http',
    ])
  }

  async function digestAt(host: string, at: { name: string; options?: string[] }): Promise<string> {
    const raw = await run([
      ...['skopeo', 'inspect', '--raw', '--tls-verify=false', ...(at.options ?? [])],
      `docker://${host}/${at.name}`,
    ])
    const file = join(work, 'inspected.json')
    await writeFile(file, raw)
    return (await hashFile(file)).digest
  }

  it('copies images and charts with the digests of their publishers', async () => {
    const target = await openRegistry('open')
    expect(await airgap(['push', bundle, target.host, '--plain-http'])).toMatchObject({ code: 0 })
    for (const [name, digest] of Object.entries(upstreamDigests))
      expect([name, await digestAt(target.host, { name })]).toEqual([name, digest])
    // once more: what is there is there
    expect(await airgap(['push', bundle, target.host, '--plain-http'])).toMatchObject({ code: 0 })
  })

  it('uses the credentials of a config file, and never shows them', async () => {
    const target = await openRegistry('closed', { login })
    const { user, password } = login
    const config = join(work, 'config.json')
    const auth = Buffer.from(`${user}:${password}`).toString('base64')
    await writeFile(config, JSON.stringify({ auths: { [target.host]: { auth } } }))
    const pushed = await airgap([
      ...['push', bundle, `${target.host}/team`, '--plain-http', '--keep-host', '--registry-config', config],
    ])
    expect(pushed).toMatchObject({ code: 0 })
    expect(pushed.stdout + pushed.stderr).not.toMatch(new RegExp(`${password}|${auth}`))
    const options = ['--creds', `${user}:${password}`]
    expect(await digestAt(target.host, { name: 'team/docker.io/library/load:1', options })).toBe(
      upstreamDigests['library/load:1'],
    )
  })

  it('stops with 5 where the registry wants a password and there is none', async () => {
    const target = await openRegistry('guarded', { login })
    const config = join(work, 'empty.json')
    await writeFile(config, '{}')
    const pushed = await airgap(['push', bundle, target.host, '--plain-http', '--registry-config', config])
    expect([pushed.code, pushed.stderr]).toEqual([5, expect.stringContaining('oras login')])
  })

  it('stops with 7 and says how to get oras where there is none', async () => {
    const pushed = await airgap([
      'push',
      bundle,
      '127.0.0.1:1',
      '--plain-http',
      '--oras',
      join(work, 'no-oras'),
    ])
    expect([pushed.code, pushed.stderr]).toEqual([7, expect.stringMatching(/oras/)])
    expect(pushed.stderr).toMatch(/scripts\/setup|oras\.land/)
  })
})
