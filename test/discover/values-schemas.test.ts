import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { remoteReferences } from '../../src/discover/values-schemas.ts'
import { missing } from '../kinds/deb/support/programs.ts'
import {
  chartYaml,
  discoverTree,
  environments,
  podTemplate,
  release,
  upstreams,
  writeTree,
} from './support/deployment-tree.ts'

const lacking = missing('helm', 'helmfile')
const remote = 'https://schemas.invalid/definitions.json'
const schema = JSON.stringify({
  $schema: 'http://json-schema.org/draft-07/schema#',
  properties: { a: { $ref: `${remote}#/definitions/a` } },
})

describe.skipIf(lacking.length > 0)(
  `values schemas that refer to the internet (needs ${lacking.join(', ') || 'nothing else'})`,
  () => {
    const chart = {
      'chart/Chart.yaml': chartYaml(
        'app',
        'dependencies: [{name: sub, version: 1.0.0, condition: sub.enabled}]\n',
      ),
      'chart/templates/pod.yaml': podTemplate('app', 'a/app:1'),
      'sub/Chart.yaml': chartYaml('sub'),
      'sub/templates/pod.yaml': podTemplate('sub', 'a/sub:1'),
      'sub/values.schema.json': schema,
      'helmfile.yaml.gotmpl': `${environments}releases:\n${release('app', './chart')}`,
    }

    it.each([
      ['a folder', 'directory'],
      ['an archive', 'archive'],
    ])('are reported, and the release is rendered: in a subchart that is %s', async (_, form) => {
      const folder = await writeTree(chart)
      const charts = join(folder, 'chart/charts')
      if (form === 'archive') execFileSync('helm', ['package', join(folder, 'sub'), '--destination', charts])
      else execFileSync('cp', ['-R', '--', join(folder, 'sub'), charts])
      if (form === 'directory')
        execFileSync('sh', ['-c', 'mkdir "$0/s" && mv "$0"/[Ctv]* "$0/s" && mv "$0/s" "$0/sub"', charts])
      const found = await discoverTree(folder)
      expect(found.failures).toEqual([])
      expect(upstreams(found).toSorted()).toEqual(['quay.io/a/app:1', 'quay.io/a/sub:1'])
      expect(found.schemas).toEqual([
        {
          path: expect.stringMatching(/^charts\/sub.*\/values\.schema\.json$/),
          urls: [remote],
          release: 'prod: app (demo)',
        },
      ])
    })

    it('are not read in a subchart that is disabled', async () => {
      const folder = await writeTree({
        ...chart,
        'chart/values.yaml': 'sub: {enabled: false}\n',
        'chart/charts/sub/Chart.yaml': chart['sub/Chart.yaml'],
        'chart/charts/sub/values.schema.json': schema,
      })
      expect(await discoverTree(folder)).toMatchObject({ failures: [], schemas: [] })
    })
  },
)

describe('references of a values schema', () => {
  const of = (text: object) =>
    remoteReferences(new Map([['values.schema.json', JSON.stringify(text)]])).get('values.schema.json') ?? []

  it('to itself, its own identifiers and the specification stay', () => {
    expect(of({ $ref: '#/definitions/a' })).toEqual([])
    expect(of({ $id: 'https://a.invalid/x.json', properties: { a: { $ref: '#/definitions/a' } } })).toEqual(
      [],
    )
    expect(
      of({ $id: 'https://a.invalid/x.json', properties: { a: { $ref: 'https://a.invalid/x.json#b' } } }),
    ).toEqual([])
    expect(of({ properties: { a: { $ref: 'http://json-schema.org/draft-07/schema#' } } })).toEqual([])
    expect(remoteReferences(new Map([['values.schema.json', 'not JSON']])).size).toBe(0)
  })

  it('relative to a remote identifier are remote', () => {
    expect(of({ $id: 'https://a.invalid/x.json', properties: { a: { $ref: 'y.json#/b' } } })).toEqual([
      'https://a.invalid/y.json',
    ])
  })
})
