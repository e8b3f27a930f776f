import { describe, expect, it } from 'vitest'
import { defined } from '../../../src/core/defined.ts'
import type { ChartRequest } from '../../../src/kinds/chart/entry.ts'
import { chartKind } from '../../../src/kinds/chart/index.ts'
import { startUpstream } from '../../remote/support/upstream.ts'
import {
  cached,
  expectCleanCache,
  expectKindContract,
  refused,
  serve,
  testContext,
} from '../support/context.ts'
import { chartTgz, indexYaml, provenanceFor, sha256Of } from './support.ts'

const archive = chartTgz({ yaml: 'appVersion: 1.10\n' })
const sha256 = sha256Of(archive)

function request(repo: string, more: Partial<ChartRequest> = {}): ChartRequest {
  return { at: 'stack.yaml:5:5', name: 'web', repo, version: '1.2.3', ...more }
}

const repository = (digest?: string, others: Record<string, Buffer | string> = {}) =>
  serve({
    '/stable/index.yaml': indexYaml({
      web: [{ version: '1.2.3', url: 'web-1.2.3.tgz', ...defined({ digest }) }],
    }),
    '/stable/web-1.2.3.tgz': archive,
    ...others,
  })

describe('a chart of a classic repository', () => {
  it('is locked with its digest, and stands in the cache', async () => {
    const upstream = await repository(sha256)
    const context = await testContext()
    const locked = await chartKind.resolve(request(`${upstream.origin}/stable/`), context)
    expect(locked).toEqual({
      name: 'web-1.2.3',
      chart: 'web',
      version: '1.2.3',
      origin: { type: 'http', url: `${upstream.origin}/stable/web-1.2.3.tgz` },
      metadata: { apiVersion: 'v2', name: 'web', version: '1.2.3', appVersion: '1.10' },
      layers: [
        {
          mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
          digest: `sha256:${sha256}`,
          size: archive.length,
        },
      ],
    })
    expect(await cached(context, locked.layers[0]!)).toEqual(archive)
    const [artifact] = await expectKindContract(chartKind, locked)
    expect(artifact?.root.annotations).toEqual({
      'org.opencontainers.image.ref.name': 'charts/web:1.2.3',
      'io.astrago.airgap.kind': 'chart',
    })
    expect(artifact?.blobs).toEqual([
      {
        descriptor: locked.layers[0],
        sources: [{ type: 'url', url: `${upstream.origin}/stable/web-1.2.3.tgz` }],
      },
    ])
    await expectCleanCache(context)
  })

  it('is marked where nobody gives its digest, and not where the manifest does', async () => {
    const upstream = await repository()
    const locked = await chartKind.resolve(request(`${upstream.origin}/stable`), await testContext())
    expect(locked.firstUse).toBe(true)
    expect(chartKind.describe(locked)).toMatchObject([
      {
        name: 'web-1.2.3',
        subject: 'web',
        size: archive.length,
        source: expect.stringContaining('web-1.2.3.tgz'),
        vouchedBy: 'nobody (first use)',
        firstUse: true,
      },
    ])
    const known = await chartKind.resolve(
      request(`${upstream.origin}/stable`, { sha256 }),
      await testContext(),
    )
    expect(known.firstUse).toBeUndefined()
    expect(chartKind.describe(known)[0]).toMatchObject({ vouchedBy: 'sha256 in the manifest' })
  })

  it('carries the provenance that stands beside it', async () => {
    const prov = provenanceFor('web-1.2.3.tgz', sha256)
    const upstream = await repository(sha256, { '/stable/web-1.2.3.tgz.prov': prov })
    const context = await testContext()
    const locked = await chartKind.resolve(request(`${upstream.origin}/stable`), context)
    expect(locked.layers[1]?.mediaType).toBe('application/vnd.cncf.helm.chart.provenance.v1.prov')
    expect((await cached(context, locked.layers[1]!)).toString()).toBe(prov)
    const [artifact] = await expectKindContract(chartKind, locked)
    expect(artifact?.blobs[1]?.sources).toEqual([
      { type: 'url', url: `${upstream.origin}/stable/web-1.2.3.tgz.prov` },
    ])
  })

  it.each([
    ['a page with status 200', 200, 'not found'],
    ['403, as object stores answer', 403, ''],
  ])('has none where the server answers %s', async (_, status, text) => {
    const upstream = await startUpstream((incoming, response) => {
      if (incoming.url?.endsWith('.prov')) return void response.writeHead(status).end(text)
      const index = indexYaml({ web: [{ version: '1.2.3', url: 'web.tgz?token=1', digest: sha256 }] })
      response.end(incoming.url?.endsWith('index.yaml') ? index : archive)
    })
    const locked = await chartKind.resolve(request(upstream.origin), await testContext())
    expect(locked.layers).toHaveLength(1)
    expect(upstream.seen.map(seen => seen.url)).not.toContain('/web.tgz?token=1.prov')
  })

  it('of a version with build metadata has a tag without plus', async () => {
    const bytes = chartTgz({ version: '1.2.3+build.7' })
    const upstream = await serve({
      '/index.yaml': indexYaml({
        web: [{ version: '1.2.3+build.7', url: 'w.tgz', digest: sha256Of(bytes) }],
      }),
      '/w.tgz': bytes,
    })
    const locked = await chartKind.resolve(
      request(upstream.origin, { version: '1.2.3+build.7' }),
      await testContext(),
    )
    const [artifact] = chartKind.assemble([locked])
    expect(artifact?.root.annotations?.['org.opencontainers.image.ref.name']).toBe('charts/web:1.2.3_build.7')
  })

  it('comes from a mirror where the source is remapped; the lock keeps the name', async () => {
    const upstream = await repository(sha256)
    const sources = [{ from: 'https://charts.example/', to: [`${upstream.origin}/`] }]
    const context = await testContext({ sources })
    const locked = await chartKind.resolve(request('https://charts.example/stable'), context)
    expect(locked.origin).toEqual({ type: 'http', url: 'https://charts.example/stable/web-1.2.3.tgz' })
  })

  it('that is not there, or whose repository is not there, is an error that says so', async () => {
    const upstream = await repository()
    const at = (repo: string, more = {}) => chartKind.resolve(request(repo, more), context)
    const context = await testContext()
    await refused(at(`${upstream.origin}/none`), 'NOT_FOUND_UPSTREAM')
    await refused(at(`${upstream.origin}/stable`, { version: '9.9.9' }), 'NOT_FOUND_UPSTREAM')
    await refused(at(`${upstream.origin}/stable`, { name: 'other' }), 'NOT_FOUND_UPSTREAM')
  })
})
