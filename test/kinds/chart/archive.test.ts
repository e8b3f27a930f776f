import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { readChartArchive } from '../../../src/kinds/chart/archive.ts'
import { refused } from '../support/context.ts'
import { type ChartSpec, chartTgz, tgzOf } from './support.ts'

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

  it('has its subcharts inside, as folders or archives', async () => {
    const yaml = 'dependencies: [{name: redis, version: 1.x}, {name: common, version: 2.x}]\n'
    const entries = [
      { path: 'web/charts/redis/Chart.yaml', text: 'x' },
      { path: 'web/charts/common-2.0.0.tgz', text: 'x' },
    ]
    expect((await readSpec({ yaml, entries })).dependencies).toHaveLength(2)
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
