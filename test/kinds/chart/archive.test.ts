import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readChartArchive } from '../../../src/kinds/chart/archive.ts'
import { refused } from '../support/context.ts'
import { type ChartSpec, chartTgz, tarOf, tgzOf } from './support.ts'

const read = (bytes: Buffer, wanted = { name: 'web', version: '1.2.3' }) =>
  readChartArchive(Readable.from([bytes]), { ...wanted, item: 'https://x.example/web.tgz' })
const readSpec = (spec: ChartSpec) => read(chartTgz(spec))

describe('a chart archive', () => {
  it('gives its Chart.yaml in the types that helm wants', async () => {
    const yaml = [
      'appVersion: 1.10',
      'description: a web server',
      'deprecated: true',
      'kubeVersion: ">=1.28"',
      'keywords: [a, 1, true]',
      'annotations: {licenses: Apache-2.0, build: 7, stable: true}',
      'maintainers: [{name: A, email: a@x.example, phone: 1}]',
      'sources:',
      'icon:',
      'unknown: {x: 1}',
      'dependencies:',
      '- name: redis',
      '  version: 1.0',
      '  repository: https://x.example',
      '  condition: redis.enabled',
      '  tags: [cache]',
      '  enabled: false',
      '  import-values: [data, {child: a, parent: b}]',
      '',
    ].join('\n')
    const metadata = await readSpec({
      yaml,
      entries: [{ path: 'web/charts/redis/Chart.yaml', text: 'name: redis' }],
    })
    expect(JSON.parse(JSON.stringify(metadata))).toEqual({
      apiVersion: 'v2',
      name: 'web',
      version: '1.2.3',
      appVersion: '1.10',
      description: 'a web server',
      deprecated: true,
      kubeVersion: '>=1.28',
      keywords: ['a', '1', 'true'],
      annotations: { licenses: 'Apache-2.0', build: '7', stable: 'true' },
      maintainers: [{ name: 'A', email: 'a@x.example' }],
      dependencies: [
        {
          name: 'redis',
          version: '1.0',
          repository: 'https://x.example',
          condition: 'redis.enabled',
          tags: ['cache'],
          'import-values': ['data', { child: 'a', parent: 'b' }],
        },
      ],
    })
  })

  it('may be written with v or without, and cut into any pieces', async () => {
    const bytes = chartTgz({ version: 'v1.2.3' })
    expect((await read(bytes)).version).toBe('v1.2.3')
    const pieces = Array.from(bytes, byte => Buffer.from([byte]))
    const found = await readChartArchive(Readable.from(pieces), { name: 'web', version: 'v1.2.3', item: 'x' })
    expect(found.name).toBe('web')
  })

  it('takes Chart.yaml of the chart, not of a subchart', async () => {
    const metadata = await read(
      tgzOf([
        { path: 'web/charts/redis/Chart.yaml', text: 'name: redis\nversion: 9.9.9\n' },
        { path: 'web/Chart.yaml', text: 'name: web\nversion: 1.2.3\n' },
      ]),
    )
    expect(metadata.version).toBe('1.2.3')
  })

  // helm's CheckDependencies: by the name in the subchart's own Chart.yaml
  it('has its subcharts inside, as folders or archives of any name', async () => {
    const yaml = [
      'dependencies:',
      '- {name: redis, version: 1.x, alias: cache, repository: "file://../redis"}',
      '- {name: redis, version: 1.x, alias: queue, repository: ""}',
      '- {name: common, version: 2.x}',
      '- {name: db, version: 3.x, repository: null}',
      '',
    ].join('\n')
    const entries = [
      { path: 'web/charts/valkey-fork/Chart.yaml', text: 'name: redis\nversion: 1.0.0\n' },
      { path: 'web/charts/library.tgz', text: chartTgz({ name: 'common' }) },
      { path: 'web/charts/db-v3.0.0+build.tgz', text: chartTgz({ name: 'db' }) },
      { path: 'web/charts/_old.tgz', text: 'no chart' },
      { path: 'web/charts/.keep', text: '' },
      { path: 'web/charts/README.md', text: 'x' },
    ]
    expect((await readSpec({ yaml, entries })).dependencies).toHaveLength(4)
  })

  // the results of helm template and helm show chart
  it('may have nulls, a byte order mark, duplicate keys and the booleans of YAML 1.1', async () => {
    const text = [
      '\uFEFFapiVersion: v2',
      'name: web',
      'version: 1.2.3',
      'keywords: null',
      'maintainers: ~',
      'dependencies:',
      'deprecated: yes',
      'home: a',
      'home: b',
      'annotations: {a: null, b: 1}',
      'description: "null"',
      '---',
      'x: 1',
      '',
    ].join('\n')
    expect(JSON.parse(JSON.stringify(await read(tgzOf([{ path: 'web/Chart.yaml', text }]))))).toEqual({
      apiVersion: 'v2',
      name: 'web',
      version: '1.2.3',
      deprecated: true,
      home: 'b',
      annotations: { a: '', b: '1' },
      description: 'null',
    })
  })

  it('may be followed by anything', async () => {
    const tar = tarOf([{ path: 'web/Chart.yaml', text: 'name: web\nversion: 1.2.3\n' }])
    expect((await read(gzipSync(Buffer.concat([tar, Buffer.from('junk')])))).name).toBe('web')
  })

  it('may have been packed on Windows, and may write its version in a shorter form', async () => {
    const text = 'name: web\nversion: v1.2\n'
    const bytes = tgzOf([
      { path: 'web\\Chart.yaml', text },
      { path: 'web\\templates\\a.yaml', text: 'a: 1\n' },
    ])
    expect((await read(bytes, { name: 'web', version: '1.2.0' })).name).toBe('web')
  })

  it('has the subcharts of requirements.yaml, whatever its apiVersion', async () => {
    const entries = [{ path: 'web/requirements.yaml', text: 'dependencies: [{name: redis}]\n' }]
    await refused(readSpec({ entries }), 'UPSTREAM_INVALID')
    const empty = [{ path: 'web/requirements.yaml', text: 'dependencies: null\n' }]
    expect((await readSpec({ entries: empty })).name).toBe('web')
  })

  it.each<[string, Buffer, string]>([
    ['without Chart.yaml', tgzOf([{ path: 'web/values.yaml', text: 'a: 1' }]), 'no Chart.yaml'],
    ['with Chart.yaml outside of a folder', tgzOf([{ path: 'Chart.yaml', text: 'name: web' }]), 'outside'],
    [
      'whose Chart.yaml is a folder',
      tgzOf([{ path: 'web/Chart.yaml/', type: 'Directory' }]),
      'no Chart.yaml',
    ],
    ['whose Chart.yaml is no YAML', tgzOf([{ path: 'web/Chart.yaml', text: 'a: [' }]), 'cannot be read'],
    ['whose Chart.yaml is a list', tgzOf([{ path: 'web/Chart.yaml', text: '[a]' }]), 'malformed'],
    ['without a version', tgzOf([{ path: 'web/Chart.yaml', text: 'name: web' }]), 'malformed: version'],
    ['that is empty', tgzOf([]), 'refused'],
    ['that is not compressed', Buffer.from('PK\u0003\u0004 a zip'), 'refused'],
    ['that is cut short', chartTgz().subarray(0, -20), 'refused'],
  ])('%s is refused', async (_, bytes, what) => {
    expect((await refused(read(bytes), 'UPSTREAM_INVALID')).message).toContain(what)
  })
})
