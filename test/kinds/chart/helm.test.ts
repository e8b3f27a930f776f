import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Artifact } from '../../../src/content/artifact.ts'
import { digestOf } from '../../../src/core/digest.ts'
import { chartKind } from '../../../src/kinds/chart/index.ts'
import type { LockedChart } from '../../../src/kinds/chart/locked.ts'
import type { ResolveContext } from '../../../src/kinds/kind.ts'
import { hasDockerRegistry, startDockerRegistry } from '../../remote/support/docker-registry.ts'
import {
  cached,
  expectKindContract,
  refused,
  serve,
  temporaryFolder,
  testContext,
} from '../support/context.ts'
import { chartTgz, sha256Of } from './support.ts'

const tools = resolve(import.meta.dirname, '../../../.tools/bin')
const PATH = `${process.env['PATH'] ?? ''}${delimiter}${tools}`
const has = (program: string, argument: string) =>
  spawnSync(program, [argument], { env: { ...process.env, PATH } }).error === undefined
const hasHelm = has('helm', 'version')
const hasGpg = has('gpg', '--version')

/** helm with a home of its own. */
function helm(home: string, args: string[], cwd = home): string {
  const env = {
    PATH,
    HOME: home,
    HELM_CACHE_HOME: join(home, 'c'),
    HELM_CONFIG_HOME: join(home, 'f'),
    HELM_DATA_HOME: join(home, 'd'),
  }
  return execFileSync('helm', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

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

/** What a bundle's registry holds of the artifact: put into docker-registry, from the lock and the cache alone. */
async function put(
  artifact: Artifact,
  to: { host: string; repository: string; tag: string; context: ResolveContext },
) {
  const base = `http://${to.host}/v2/${to.repository}`
  const root = artifact.root.digest
  const contents = [
    ...artifact.inline,
    ...(await Promise.all(
      artifact.blobs.map(async ({ descriptor }) => ({
        descriptor,
        bytes: await cached(to.context, descriptor),
      })),
    )),
  ]
  for (const { descriptor, bytes } of contents) {
    if (descriptor.digest === root) continue
    const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST' })
    const location = new URL(begun.headers.get('location')!, base)
    location.searchParams.set('digest', descriptor.digest)
    const done = await fetch(location, {
      method: 'PUT',
      body: new Uint8Array(bytes),
      headers: { 'content-type': 'application/octet-stream' },
    })
    expect(done.status).toBe(201)
  }
  const manifest = contents.find(({ descriptor }) => descriptor.digest === root)!
  const done = await fetch(`${base}/manifests/${to.tag}`, {
    method: 'PUT',
    body: new Uint8Array(manifest.bytes),
    headers: { 'content-type': manifest.descriptor.mediaType },
  })
  expect([done.status, await done.text()]).toEqual([201, ''])
}

async function registry(): Promise<string> {
  const running = await startDockerRegistry()
  onTestFinished(() => running.stop())
  return running.host
}

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

    it('of older media types and inside an index are carried; a constraint is the newest tag', async () => {
      const [home, host] = [await temporaryFolder(), await registry()]
      const context = await testContext({ sources: [{ from: host, to: [`http://${host}`] }] })
      const [version, older] = ['1.2.3', '1.2.2']
      for (const one of [older, version]) {
        const archive = chartTgz({ version: one })
        const layer = { mediaType: 'application/tar+gzip', ...(await putBlob(host, archive)) }
        await putManifest(host, { tag: one, manifest: await helmManifest(host, { version: one, layer }) })
      }
      const request = { at: 'stack.yaml:5:5', name: 'web', repo: `oci://${host}/up`, version: '^1.2' }
      const locked = await chartKind.resolve(request, context)
      expect([locked.name, locked.layers[0]?.mediaType]).toEqual(['web-1.2.3', 'application/tar+gzip'])
      const [artifact] = await expectKindContract(chartKind, locked)
      await put(artifact!, { host, repository: 'charts/web', tag: '1.2.3', context })
      helm(home, ['pull', `oci://${host}/charts/web`, '--version', '1.2.3', '--plain-http'])
      expect(await readFile(join(home, 'web-1.2.3.tgz'))).toEqual(chartTgz({ version }))
      const index = {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: locked.origin.type === 'oci' ? [locked.origin.manifest] : [],
      }
      await putManifest(host, { tag: '2.0.0', manifest: index })
      const inside = chartKind.resolve({ ...request, version: '2.0.0' }, context)
      expect((await refused(inside, 'UPSTREAM_INVALID')).message).toContain('it holds web 1.2.3')
      await putManifest(host, { tag: '1.2.3', manifest: index })
      expect(await chartKind.resolve({ ...request, version: '1.2.3' }, context)).toEqual(locked)
      const none = await refused(
        chartKind.resolve({ ...request, version: '>3' }, context),
        'NOT_FOUND_UPSTREAM',
      )
      expect(none.likely).toBe('available: 2.0.0, 1.2.3, 1.2.2')
    })

    it('may have 64 MiB, and more is exit 4', async () => {
      const host = await registry()
      const context = await testContext({ sources: [{ from: host, to: [`http://${host}`] }] })
      const request = { at: 'stack.yaml:5:5', name: 'web', repo: `oci://${host}/up`, version: '1.2.3' }
      const layer = { mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip' }
      const large = chartTgz({ entries: [{ path: 'web/large', text: randomBytes(20 << 20) }] })
      const manifest = await helmManifest(host, {
        version: '1.2.3',
        layer: { ...layer, ...(await putBlob(host, large)) },
      })
      await putManifest(host, { tag: '1.2.3', manifest })
      const locked = await chartKind.resolve(request, context)
      expect(locked.layers[0]?.size).toBe(large.length)
      const larger = await putBlob(host, Buffer.alloc((64 << 20) + 1))
      await putManifest(host, { tag: '1.2.3', manifest: { ...manifest, layers: [{ ...layer, ...larger }] } })
      expect((await refused(chartKind.resolve(request, context), 'UNSUPPORTED')).exitCode).toBe(4)
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

    it('whose config is not helm’s are refused: the site makes its index of the configs', async () => {
      const [home, host] = [await temporaryFolder(), await registry()]
      const context = await testContext({ sources: [{ from: host, to: [`http://${host}`] }] })
      helm(home, ['push', await packed(home), `oci://${host}/up`, '--plain-http'])
      const mediaType = 'application/vnd.oci.image.manifest.v1+json'
      const address = `http://${host}/v2/up/web/manifests/1.2.3_build.7`
      const published = await fetch(address, { headers: { accept: mediaType } })
      const manifest = (await published.json()) as { config: object }
      for (const text of ['{}', 'no JSON', '{"name":"web","version":"9.9.9"}']) {
        const config = { ...manifest.config, ...(await putBlob(host, text)) }
        const done = await fetch(address, {
          method: 'PUT',
          body: JSON.stringify({ ...manifest, config }),
          headers: { 'content-type': mediaType },
        })
        expect(done.status).toBe(201)
        await expect(chartKind.resolve(request(`oci://${host}/up`), context)).rejects.toMatchObject({
          code: 'UNSUPPORTED',
          message: 'the config of the chart does not give its name and version',
        })
      }
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

async function helmManifest(host: string, { version, layer }: { version: string; layer: object }) {
  const config = await putBlob(host, JSON.stringify({ apiVersion: 'v2', name: 'web', version }))
  return {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', ...config },
    layers: [layer],
  }
}

async function putManifest(
  host: string,
  { tag, manifest }: { tag: string; manifest: { mediaType: string; [key: string]: unknown } },
): Promise<void> {
  const done = await fetch(`http://${host}/v2/up/web/manifests/${tag}`, {
    method: 'PUT',
    body: JSON.stringify(manifest),
    headers: { 'content-type': manifest.mediaType },
  })
  expect([done.status, await done.text()]).toEqual([201, ''])
}

async function putBlob(host: string, text: string | Buffer): Promise<{ digest: string; size: number }> {
  const begun = await fetch(`http://${host}/v2/up/web/blobs/uploads/`, { method: 'POST' })
  const location = new URL(begun.headers.get('location')!, `http://${host}`)
  location.searchParams.set('digest', digestOf(text))
  const headers = { 'content-type': 'application/octet-stream' }
  expect(
    (await fetch(location, { method: 'PUT', body: new Uint8Array(Buffer.from(text)), headers })).status,
  ).toBe(201)
  return { digest: digestOf(text), size: Buffer.byteLength(text) }
}

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
