import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Artifact } from '../../src/content/artifact.ts'
import { digestOf } from '../../src/core/digest.ts'
import { registryMirrors } from '../../src/site/registry-mirrors.ts'
import { openSiteKey, type SiteKey } from '../../src/site/site-key.ts'
import { httpView, registryView, siteDocumentPath } from '../../src/site/site-view.ts'
import { contentOf, sampleChart, sampleImage, sampleStack, sampleTree } from './support/sample-site.ts'

const address = { scheme: 'http', host: '10.77.0.1', registryPort: 35000, httpPort: 8080 } as const
const now = () => new Date('2026-01-02T03:04:05Z')
let folder: string
let key: SiteKey
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-view-'))
  key = await openSiteKey({ folder, now })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const view = async (...stacks: Artifact[][]) =>
  await httpView(await Promise.all(stacks.map(contentOf)), {
    address,
    key,
    site: 'an id',
    mirrors: registryMirrors({ address, upstreams: ['docker.io'] }),
    now,
  })
const textOf = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('utf8')

describe('httpView', () => {
  it('mounts files, packages, charts and what clients need', async () => {
    const { mounts } = await view(sampleStack())
    expect(mounts.map(mount => mount.prefix).sort()).toEqual(['/', '/charts', '/debs/debian-12', '/files'])
    const debs = mounts.find(mount => mount.prefix === '/debs/debian-12')
    expect([...(debs?.generated?.keys() ?? [])]).toEqual([
      'dists/bookworm/Release',
      'dists/bookworm/Release.gpg',
      'dists/bookworm/InRelease',
    ])
    const own = mounts.find(mount => mount.prefix === '/')?.generated
    expect(textOf(own?.get('site-key.asc')?.bytes)).toContain('BEGIN PGP PUBLIC KEY BLOCK')
    expect(JSON.parse(textOf(own?.get(siteDocumentPath.slice(1))?.bytes))).toMatchObject({
      site: 'an id',
      registry: '10.77.0.1:35000',
      httpServer: 'http://10.77.0.1:8080',
    })
    expect(textOf(own?.get('clients/etc/apt/sources.list.d/airgap-debian-12.sources')?.bytes)).toContain(
      'Signed-By: /etc/apt/keyrings/airgap-site.asc',
    )
  })

  it('serves package repositories by their whole names: rocky-9 and rocky-9.2 are two', async () => {
    const repository = (name: string) => sampleTree(`debs/${name}`, { [`pool/${name}.deb`]: name }, 'deb')
    const { mounts } = await view([...repository('rocky-9'), ...repository('rocky-9.2')])
    const paths = (name: string) => [
      ...(mounts.find(mount => mount.prefix === `/debs/${name}`)?.entries?.keys() ?? []),
    ]
    expect(paths('rocky-9')).toEqual(['pool/rocky-9.deb'])
    expect(paths('rocky-9.2')).toEqual(['pool/rocky-9.2.deb'])
  })

  it('does not serve the deployment tree or the lock', async () => {
    const { mounts } = await view(sampleStack())
    const paths = mounts.flatMap(mount => [...(mount.entries?.keys() ?? [])])
    expect(paths.some(path => path.includes('values.yaml') || path.includes('lock.json'))).toBe(false)
  })

  it('makes a chart repository that names each archive with its digest', async () => {
    const { mounts } = await view(sampleStack())
    const charts = mounts.find(mount => mount.prefix === '/charts')
    const index = JSON.parse(textOf(charts?.generated?.get('index.yaml')?.bytes))
    const archive = charts?.entries?.get('demo-1.0.0+x.tgz')
    expect(index).toMatchObject({
      apiVersion: 'v1',
      entries: {
        demo: [
          {
            name: 'demo',
            version: '1.0.0+x',
            digest: archive?.descriptor.digest.slice(7),
            urls: ['demo-1.0.0%2Bx.tgz'],
          },
        ],
      },
    })
  })

  it('merges the same content of two bundles, and serves the one of the last bundle under the same path', async () => {
    const { mounts } = await view(
      sampleTree('files', { a: '1' }, 'file'),
      sampleTree('files', { a: '1', b: '2' }, 'file'),
    )
    expect([...(mounts.find(mount => mount.prefix === '/files')?.entries?.keys() ?? [])]).toEqual(['a', 'b'])
    const differing = await view(
      sampleTree('files', { a: '1' }, 'file'),
      sampleTree('files', { a: '2' }, 'file'),
    )
    const files = differing.mounts.find(mount => mount.prefix === '/files')?.entries
    expect(files?.get('a')?.descriptor.digest).toBe(digestOf('2'))
  })

  it.each([
    ['a slash in its version', { name: 'a', version: '1/../../etc' }],
    ['dots for a name', { name: '../a', version: '1' }],
    ['no version', { name: 'a', version: '' }],
  ])('refuses a chart with %s', async (_, metadata) => {
    await expect(view([sampleChart('charts/a:1', metadata)])).rejects.toMatchObject({
      code: 'BUNDLE_CORRUPT',
    })
  })
})

describe('registryView', () => {
  it('reads from the lock which upstream gets a name', async () => {
    const colliding = (collisions: Record<string, string>) => [
      sampleImage('quay.io/a/b:1'),
      sampleImage('ghcr.io/a/b:2'),
      ...sampleTree('lock', { 'lock.json': JSON.stringify({ collisions }) }, 'bundle'),
    ]
    const { images } = await registryView([await contentOf(colliding({ 'a/b': 'ghcr.io' }))], { address })
    expect(images.find('a/b')?.tags.has('2')).toBe(true)
    await expect(registryView([await contentOf(colliding({}))], { address })).rejects.toMatchObject({
      code: 'NAME_COLLISION',
    })
    const damaged = [
      ...colliding({}).slice(0, 2),
      ...sampleTree('lock', { 'lock.json': 'not JSON' }, 'bundle'),
    ]
    await expect(registryView([await contentOf(damaged)], { address })).rejects.toMatchObject({
      code: 'BUNDLE_CORRUPT',
    })
  })
})
