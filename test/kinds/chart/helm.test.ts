import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../../../src/core/digest.ts'
import { chartKind } from '../../../src/kinds/chart/index.ts'
import type { LockedChart } from '../../../src/kinds/chart/locked.ts'
import { chartRepository } from '../../../src/kinds/chart/site-repository.ts'
import type { ResolveContext } from '../../../src/kinds/kind.ts'
import { hasDockerRegistry } from '../../remote/support/docker-registry.ts'
import { cached, expectKindContract, serve, temporaryFolder, testContext } from '../support/context.ts'
import { hasGpg, hasHelm, helm, put, putBlob, registry } from './helm.ts'
import { sha256Of } from './support.ts'

const chartYaml = [
  'apiVersion: v2',
  'name: web',
  'version: 1.2.3+build.7',
  'appVersion: 1.10',
  'description: |',
  '  A web server.',
  '    entries:',
  'deprecated: true',
  'kubeVersion: ">=1.20.0-0"',
  'keywords: [http, 2]',
  'annotations: {licenses: Apache-2.0, build: 7}',
  'maintainers: [{name: A, email: a@x.example}]',
  'dependencies:',
  '- name: redis',
  '  version: 1.0.0',
  '  repository: file://../redis',
  '  condition: redis.enabled',
  '  tags: [cache]',
  '  import-values: [data, {child: a, parent: b}]',
  '',
].join('\n')

/** web with its subchart redis, packed by helm. */
async function packed(home: string, signed: string[] = []): Promise<string> {
  const files = {
    'web/Chart.yaml': chartYaml,
    'web/values.yaml': 'a: 1\n',
    'web/templates/service.yaml': 'kind: Service\napiVersion: v1\nmetadata: {name: web}\n',
    'redis/Chart.yaml': 'apiVersion: v2\nname: redis\nversion: 1.0.0\n',
    'redis/values.yaml': 'exports: {data: {x: 1}}\n',
  }
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(home, path)), { recursive: true })
    await writeFile(join(home, path), text)
  }
  helm(home, ['dependency', 'build', 'web'])
  helm(home, ['package', 'web', '--destination', join(home, 'repo'), ...signed])
  return join(home, 'repo', 'web-1.2.3+build.7.tgz')
}

async function served(home: string, files: string[]): Promise<string> {
  helm(home, ['repo', 'index', 'repo'])
  const paths = Object.fromEntries(
    await Promise.all(
      ['index.yaml', ...files].map(
        async name => [`/${name}`, await readFile(join(home, 'repo', name))] as const,
      ),
    ),
  )
  return (await serve(paths)).origin
}

const request = (repo: string) => ({ at: 'stack.yaml:5:5', name: 'web', repo, version: '1.2.3+build.7' })

/** Puts the locked chart where a site would have it, and pulls it by helm. */
async function pulled(
  locked: LockedChart,
  to: { home: string; host: string; context: ResolveContext; flags?: string[] },
) {
  const [artifact] = await expectKindContract(chartKind, locked)
  await put(artifact!, { ...to, repository: 'charts/web', tag: '1.2.3_build.7' })
  const out = join(to.home, 'out')
  await mkdir(out)
  helm(to.home, [
    'pull',
    `oci://${to.host}/charts/web`,
    '--version',
    '1.2.3+build.7',
    '--plain-http',
    '--destination',
    out,
    ...(to.flags ?? []),
  ])
  return { out, names: (await readdir(out)).sort() }
}

describe.skipIf(!hasHelm)('charts made by helm (needs helm)', () => {
  it('of a repository that helm indexed are locked with its digest', async () => {
    const home = await temporaryFolder()
    const archive = await packed(home)
    const origin = await served(home, ['web-1.2.3+build.7.tgz'])
    const locked = await chartKind.resolve(request(origin), await testContext())
    expect(locked.layers[0]?.digest).toBe(digestOf(await readFile(archive)))
    expect(locked.firstUse).toBeUndefined()
    // `helm package` writes Chart.yaml anew
    expect(locked.metadata).toMatchObject({
      appVersion: '1.1',
      deprecated: true,
      annotations: { build: '7' },
    })
  })
})

describe.skipIf(!hasHelm || !hasDockerRegistry)(
  'charts that helm pulls (needs helm, docker-registry)',
  () => {
    it('of a classic repository are the archive, byte for byte, and helm can read them', async () => {
      const [home, host, context] = [await temporaryFolder(), await registry(), await testContext()]
      const archive = await packed(home)
      const origin = await served(home, ['web-1.2.3+build.7.tgz'])
      const locked = await chartKind.resolve(request(origin), context)
      const { out, names } = await pulled(locked, { home, host, context })
      expect(names).toEqual(['web-1.2.3+build.7.tgz'])
      expect(await readFile(join(out, names[0]!))).toEqual(await readFile(archive))
      const shown = helm(home, [
        'show',
        'chart',
        `oci://${host}/charts/web`,
        '--version',
        '1.2.3+build.7',
        '--plain-http',
      ])
      expect(shown).toContain('name: web')
      const rendered = helm(home, [
        'template',
        'x',
        `oci://${host}/charts/web`,
        '--version',
        '1.2.3+build.7',
        '--plain-http',
      ])
      expect(rendered).toContain('kind: Service')
    })

    it('of an OCI registry pass through byte for byte', async () => {
      const [home, host] = [await temporaryFolder(), await registry()]
      const context = await testContext({ sources: [{ from: host, to: [`http://${host}`] }] })
      const archive = await packed(home)
      helm(home, ['push', archive, `oci://${host}/up`, '--plain-http'])
      const locked = await chartKind.resolve(request(`oci://${host}/up`), context)
      const answer = await fetch(`http://${host}/v2/up/web/manifests/1.2.3_build.7`, {
        headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
      })
      const bytes = Buffer.from(await answer.arrayBuffer())
      expect(locked.origin).toMatchObject({
        type: 'oci',
        repository: `${host}/up/web`,
        manifest: { digest: digestOf(bytes), size: bytes.length },
      })
      expect(locked.layers.map(layer => layer.digest)).toEqual([
        `sha256:${sha256Of(await readFile(archive))}`,
      ])
      expect(chartKind.assemble([locked])[0]?.root).toMatchObject({
        digest: digestOf(bytes),
        annotations: { 'org.opencontainers.image.ref.name': `${host}/up/web:1.2.3_build.7` },
      })
      const { out, names } = await pulled(locked, { home, host, context })
      expect(await readFile(join(out, names[0]!))).toEqual(await readFile(archive))
      // what we make of an archive has the config that helm makes of it
      const config = JSON.parse(
        (
          await cached(context, locked.origin.type === 'oci' ? locked.origin.config : locked.layers[0]!)
        ).toString(),
      )
      expect(locked.metadata).toEqual(config)
    })

    it('that are no charts, and versions that are not there, are refused', async () => {
      const [home, host] = [await temporaryFolder(), await registry()]
      const context = await testContext({ sources: [{ from: host, to: [`http://${host}`] }] })
      helm(home, ['push', await packed(home), `oci://${host}/up`, '--plain-http'])
      const at = (more: object) => chartKind.resolve({ ...request(`oci://${host}/up`), ...more }, context)
      await expect(at({ version: '9.9.9' })).rejects.toMatchObject({ code: 'NOT_FOUND_UPSTREAM' })
      await expect(at({ sha256: 'ab'.repeat(32) })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
      const config = await putBlob(host, '{}')
      const manifest = {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
        layers: [],
      }
      const done = await fetch(`http://${host}/v2/up/web/manifests/0.0.1`, {
        method: 'PUT',
        body: JSON.stringify(manifest),
        headers: { 'content-type': manifest.mediaType },
      })
      expect(done.status).toBe(201)
      await expect(at({ version: '0.0.1' })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    })

    it('whose config is not helm’s are carried, as helm pulls them, and are in the index of the site', async () => {
      const [home, host] = [await temporaryFolder(), await registry()]
      const context = await testContext({ sources: [{ from: host, to: [`http://${host}`] }] })
      helm(home, ['push', await packed(home), `oci://${host}/up`, '--plain-http'])
      const mediaType = 'application/vnd.oci.image.manifest.v1+json'
      const address = `http://${host}/v2/up/web/manifests/1.2.3_build.7`
      const published = await fetch(address, { headers: { accept: mediaType } })
      const manifest = (await published.json()) as { config: object }
      const publish = async (text: string) => {
        const config = { ...manifest.config, ...(await putBlob(host, text)) }
        const done = await fetch(address, {
          method: 'PUT',
          body: JSON.stringify({ ...manifest, config }),
          headers: { 'content-type': mediaType },
        })
        expect(done.status).toBe(201)
        return chartKind.resolve(request(`oci://${host}/up`), context)
      }
      for (const text of ['{}', '{"name":"web","version":"9.9.9"}']) {
        const locked = await publish(text)
        expect(locked.foreignConfig).toBe(true)
        const [artifact] = await expectKindContract(chartKind, locked)
        const { index } = await chartRepository(context.cache, {
          roots: [artifact!.root],
          generated: new Date(0),
        })
        const { entries } = JSON.parse(index.toString())
        expect(entries.web[0]).toMatchObject({ version: '1.2.3+build.7', appVersion: '1.1' })
      }
      await expect(publish('no JSON')).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    })

    it.skipIf(!hasGpg)(
      'with provenance are verified by helm with the publisher’s key (needs gpg)',
      async () => {
        const [home, host, context] = [await temporaryFolder(), await registry(), await testContext()]
        const keys = await keyrings(home)
        await packed(home, ['--sign', '--key', 'charts@x.example', '--keyring', keys.secret])
        const names = ['web-1.2.3+build.7.tgz', 'web-1.2.3+build.7.tgz.prov']
        const origin = await served(home, names)
        const locked = await chartKind.resolve(request(origin), context)
        expect(locked.layers).toHaveLength(2)
        const flags = ['--verify', '--keyring', keys.publicOnes]
        const result = await pulled(locked, { home, host, context, flags })
        expect(result.names).toEqual(names)
      },
    )
  },
)

/** A key of its own in the old format that helm reads. */
async function keyrings(home: string): Promise<{ secret: string; publicOnes: string }> {
  const folder = join(home, 'g')
  await mkdir(folder, { mode: 0o700 })
  const gpg = (...args: string[]) =>
    execFileSync(
      'gpg',
      ['--homedir', folder, '--batch', '--pinentry-mode', 'loopback', '--passphrase', '', ...args],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
  onTestFinished(() => void spawnSync('gpgconf', ['--homedir', folder, '--kill', 'all']))
  gpg('--quick-generate-key', 'charts@x.example', 'rsa2048', 'sign', 'never')
  const made = { secret: join(home, 'secret.gpg'), publicOnes: join(home, 'public.gpg') }
  await writeFile(made.secret, gpg('--export-secret-keys'))
  await writeFile(made.publicOnes, gpg('--export'))
  return made
}
