import { describe, expect, it } from 'vitest'
import { collect } from '../../src/discover/collect.ts'
import { renderedObjects } from '../../src/discover/documents.ts'
import { pairImages } from '../../src/discover/pair.ts'
import { compareImages } from '../../src/discover/report.ts'

const registry = 'registry.invalid:5000'
const pod = (name: string, ...images: string[]) =>
  `kind: Pod\nmetadata: {name: ${name}}\nspec: {containers: [${images.map(image => `{image: "${image}"}`).join(', ')}]}\n`

const found = (text: string) => collect([{ release: 'r', objects: renderedObjects(text, 'r') }])

const used = pairImages(
  {
    site: found(
      [
        pod('a', `${registry}/grafana/grafana:10`, `${registry}/library/nginx:1`),
        pod('b', 'registry.k8s.io/nfd/nfd:v1', `${registry}/grafana/grafana:10`),
      ].join('---\n'),
    ),
    public: found(
      [
        pod('a', 'grafana/grafana:10', 'nginx:1'),
        pod('b', 'registry.k8s.io/nfd/nfd:v1', 'grafana/grafana:10'),
      ].join('---\n'),
    ),
  },
  registry,
)

describe('two renderings', () => {
  it('show where an image comes from, and whether it is pulled from the site', () => {
    expect(used.map(({ upstream, onSite, leak, seen }) => [upstream, onSite, leak, seen.length])).toEqual([
      ['docker.io/grafana/grafana:10', `${registry}/grafana/grafana:10`, false, 2],
      ['docker.io/library/nginx:1', `${registry}/library/nginx:1`, false, 1],
      ['registry.k8s.io/nfd/nfd:v1', 'registry.k8s.io/nfd/nfd:v1', true, 1],
    ])
  })
})

describe('the report', () => {
  const excuse = (name: string) => ({ name, reason: 'started by the application', at: 'm.yaml:9:3' })
  const report = compareImages({
    used,
    urls: [
      { url: 'http://files.invalid/files/a.jar', path: '/files/a.jar', seen: [] },
      { url: 'http://files.invalid/files/b.jar', path: '/files/b.jar', seen: [] },
      { url: 'https://grafana.com/api/dashboards/1', seen: [] },
    ],
    hasFile: path => path === '/files/a.jar',
    listed: [
      { reference: 'docker.io/grafana/grafana:10', at: 'l.txt:1:1' },
      { reference: 'docker.io/xiilab/git-sync:v3', at: 'l.txt:2:1' },
      { reference: 'docker.io/old/thing:1', at: 'l.txt:3:1' },
    ],
    excuses: [excuse('docker.io/xiilab/git-sync:v3'), excuse('docker.io/gone/x:1')],
  })

  it('lists missing and unused images, leaks, and excuses that match nothing', () => {
    expect(report.agreed.map(image => image.reference)).toEqual(['docker.io/grafana/grafana:10'])
    expect(report.unlisted.map(image => image.upstream)).toEqual([
      'docker.io/library/nginx:1',
      'registry.k8s.io/nfd/nfd:v1',
    ])
    expect(report.unused.map(image => image.reference)).toEqual(['docker.io/old/thing:1'])
    expect(report.leaks.map(image => image.upstream)).toEqual(['registry.k8s.io/nfd/nfd:v1'])
    expect(report.urls.map(({ url }) => url)).toEqual(['https://grafana.com/api/dashboards/1'])
    expect(report.missingFiles.map(({ path }) => path)).toEqual(['/files/b.jar'])
    expect(report.excused.map(({ name }) => name)).toEqual(['docker.io/xiilab/git-sync:v3'])
    expect(report.idle.map(({ name }) => name)).toEqual(['docker.io/gone/x:1'])
  })

  it('lists private addresses separately from unused images', () => {
    const own = { reference: '10.61.3.31:35000/a/b:1', at: 'a.txt:1:1', isPrivate: true as const }
    const report = compareImages({ used: [], urls: [], hasFile: () => true, listed: [own], excuses: [] })
    expect([report.privateNames, report.unused]).toEqual([[own], []])
  })

  it('accepts one image per OS for a tag that ends with the OS of a node', () => {
    const driver = {
      upstream: 'nvcr.io/nvidia/driver:535',
      onSite: 'x',
      leak: false,
      perNode: true as const,
      seen: [],
    }
    const at = (reference: string) => ({ reference, at: 'a.txt:1:1' })
    const report = (...names: string[]) =>
      compareImages({ used: [driver], urls: [], hasFile: () => true, listed: names.map(at), excuses: [] })
    expect(report('nvcr.io/nvidia/driver:535-ubuntu22.04')).toMatchObject({ unlisted: [], unused: [] })
    expect(report('nvcr.io/nvidia/driver:550-ubuntu22.04')).toMatchObject({
      unlisted: [{ upstream: 'nvcr.io/nvidia/driver:535' }],
      unused: [{ reference: 'nvcr.io/nvidia/driver:550-ubuntu22.04' }],
    })
  })

  it('lists images that charts declare for disabled features, without counting them', () => {
    const image = (reference: string) => ({ reference, chart: 'keycloak-1' })
    const { annotated } = compareImages({
      used,
      urls: [],
      hasFile: () => true,
      listed: [{ reference: 'docker.io/a/listed:1', at: 'a.txt:1:1' }],
      excuses: [],
      annotated: [
        image('docker.io/a/off:1'),
        image('docker.io/a/listed:1'),
        image('docker.io/grafana/grafana:10'),
      ],
    })
    expect(annotated).toEqual([image('docker.io/a/off:1')])
  })

  it('does not count leaks of disabled features', () => {
    const off = { upstream: 'q.io/a/b:1', onSite: 'q.io/a/b:1', leak: true, dormant: 'x is false', seen: [] }
    const { leaks, dormantLeaks } = compareImages({
      used: [off],
      urls: [],
      hasFile: () => true,
      listed: [],
      excuses: [],
    })
    expect([leaks, dormantLeaks]).toEqual([[], [off]])
  })

  it('shows the unlisted images of disabled features, without counting them', () => {
    const off = { upstream: 'q.io/a/b:1', onSite: 's/a/b:1', leak: false, dormant: 'x is false', seen: [] }
    const options = { used: [off], urls: [], hasFile: () => true, excuses: [] }
    expect(compareImages({ ...options, listed: [] })).toMatchObject({ unlisted: [], dormantUnlisted: [off] })
    const listed = [{ reference: 'q.io/a/b:1', at: 'a.txt:1:1' }]
    expect(compareImages({ ...options, listed })).toMatchObject({ unused: [], dormantUnlisted: [] })
  })

  it('names the other versions of an unused image in other lists', () => {
    const at = (reference: string, place: string) => ({ reference, at: place })
    const { unused } = compareImages({
      used,
      urls: [],
      hasFile: () => true,
      listed: [
        at('docker.io/grafana/grafana:9', 'a.txt:1:1'),
        at('docker.io/grafana/grafana:10', 'b.txt:7:1'),
      ],
      excuses: [],
    })
    expect(unused).toEqual([
      {
        ...at('docker.io/grafana/grafana:9', 'a.txt:1:1'),
        others: [at('docker.io/grafana/grafana:10', 'b.txt:7:1')],
      },
    ])
  })

  it('lists what was not rendered, charts and schemas from the internet, and then no unused images', () => {
    const failure = { item: 'release x', likely: 'a', next: 'b' }
    const chart = { chart: { reference: 'acme/web', name: 'web', version: '1.0.0' }, releases: ['prod: x'] }
    const schema = { path: 'values.schema.json', urls: ['https://a.invalid/s.json'], release: 'prod: x' }
    const options = {
      used: [],
      urls: [],
      hasFile: () => true,
      listed: [{ reference: 'docker.io/a/b:1', at: 'a.txt:1:1' }],
      excuses: [excuse('acme/web'), excuse('docker.io/gone/x:1')],
      charts: [chart],
      schemas: [schema],
    }
    const partial = compareImages({ ...options, failures: [failure] })
    expect(partial).toMatchObject({
      failures: [failure],
      charts: [],
      schemas: [schema],
      unused: [],
      idle: [],
    })
    expect(compareImages({ ...options, excuses: [] })).toMatchObject({
      charts: [chart],
      unused: [{ reference: 'docker.io/a/b:1' }],
    })
  })
})
