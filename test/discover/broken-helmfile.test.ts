import { readdir, rename, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
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

/** A helmfile `NAME/helmfile.yaml.gotmpl` with a release of its own chart. */
const part = (name: string) => ({
  [`${name}/helmfile.yaml.gotmpl`]: `releases:\n${release(name, './chart')}`,
  [`${name}/chart/Chart.yaml`]: chartYaml(name),
  [`${name}/chart/templates/pod.yaml`]: podTemplate(name, `a/${name}:1`),
})
const included = (path: string) => `- path: '${path}'\n  values:\n  - {{ toYaml .Values | nindent 4 }}\n`
const parts = (...paths: string[]) => `helmfiles:\n${paths.map(included).join('')}`
const own = {
  'own/Chart.yaml': chartYaml('own'),
  'own/templates/pod.yaml': podTemplate('own', 'a/own:1'),
}
const top = (...paths: string[]) => ({
  'helmfile.yaml.gotmpl': `${environments}${parts(...paths)}releases:\n${release('own', './own')}`,
})
const first = 'first/helmfile.yaml.gotmpl'
const last = 'last/helmfile.yaml.gotmpl'

describe.skipIf(lacking.length > 0)(
  `sub-helmfiles that helmfile cannot load (needs ${lacking.join(', ') || 'nothing else'})`,
  () => {
    it.each([
      ['with a value that is missing', 'releases: [{name: x, chart: "{{ .Values.absent.key }}"}]', /absent/],
      ['that is not YAML', 'releases: [{name: x, chart: ../own', /did not find expected/],
      ['with an unknown key', 'releasez: []', /field releasez not found/],
      [
        'without the values of its environment',
        'environments: {prod: {values: [absent.yaml]}}\n---\nreleases: []',
        /absent\.yaml/,
      ],
      [
        'without a variable',
        'releases: [{name: x, chart: {{ requiredEnv "AIRGAP_TEST_ABSENT" }} }]',
        /AIRGAP_TEST_ABSENT/,
      ],
      ['with a base that is missing', 'bases: [absent.yaml]\nreleases: []', /absent\.yaml/],
    ])('(%s) are reported, and do not hide those after them', async (_, text, reason) => {
      const folder = await writeTree({
        ...own,
        ...part('first'),
        'broken/helmfile.yaml.gotmpl': text,
        ...part('last'),
        ...top(first, 'broken/helmfile.yaml.gotmpl', last),
      })
      const found = await discoverTree(folder)
      expect(found.failures).toMatchObject([
        {
          item: `${folder}/helmfile.yaml.gotmpl: environment prod, helmfile broken/helmfile.yaml.gotmpl`,
          likely: expect.stringMatching(reason),
        },
      ])
      expect(upstreams(found).toSorted()).toEqual([
        'quay.io/a/first:1',
        'quay.io/a/last:1',
        'quay.io/a/own:1',
      ])
    })

    it('are each reported, deeper ones and those of a folder, too; a release whose values fail is one more failure', async () => {
      const broken = 'releases: [{name: x, chart: "{{ .Values.absent.key }}"}]'
      const folder = await writeTree({
        ...own,
        ...part('first'),
        ...part('last'),
        'one/helmfile.yaml.gotmpl': broken,
        'deep/helmfile.yaml.gotmpl': `${parts('../two/helmfile.yaml.gotmpl', `../${first}`)}releases:\n${release('deep', '../own')}`,
        'two/helmfile.yaml.gotmpl': broken,
        'folder/1.yaml.gotmpl': broken,
        'folder/2.yaml.gotmpl': `releases:\n${release('second', '../own')}`,
        'values/helmfile.yaml.gotmpl':
          'releases: [{name: values, namespace: demo, chart: ../own, values: [./v.yaml.gotmpl]}]',
        'values/v.yaml.gotmpl': '{{ .Values.missing.key }}',
        ...top('one/*.gotmpl', 'deep/helmfile.yaml.gotmpl', 'folder', 'values/helmfile.yaml.gotmpl', last),
      })
      // a tree that is reached through a link, whose relative paths lead out of it
      await rename(folder, `${folder}-real`)
      await symlink(`${folder}-real`, folder)
      const found = await discoverTree(folder)
      expect(found.failures.map(({ item }) => item.replace(/^.*environment prod, /, ''))).toEqual([
        'helmfile one/helmfile.yaml.gotmpl',
        'helmfile two/helmfile.yaml.gotmpl',
        'helmfile folder/1.yaml.gotmpl',
        'release values (demo)',
      ])
      expect(JSON.stringify(found.failures)).not.toContain('view-')
      expect(found.releases.toSorted()).toEqual(
        ['deep', 'first', 'last', 'own', 'second'].map(name => `${name} (demo)`),
      )
      expect(await readdir(join(folder, 'one'))).toEqual(['helmfile.yaml.gotmpl'])
    })

    it.each([
      [
        'git::http://127.0.0.1:9/charts.git@helmfile.yaml?ref=v1',
        'git::http://127.0.0.1:9/charts.git@helmfile.yaml',
      ],
      ['http://127.0.0.1:9/team/helmfile.yaml', 'http://127.0.0.1:9/team/helmfile.yaml'],
    ])('(%s, unreachable) are reported, and do not hide those after them', async (url, shown) => {
      const folder = await writeTree({ ...own, ...part('first'), ...part('last'), ...top(first, url, last) })
      const found = await discoverTree(folder)
      expect(found.failures).toMatchObject([{ item: expect.stringContaining(`helmfile ${shown}`) }])
      expect(found.releases.toSorted()).toEqual(['first (demo)', 'last (demo)', 'own (demo)'])
    })

    it('that do not exist are reported, though helmfile skips them; a pattern may match none', async () => {
      const folder = await writeTree({
        ...own,
        ...part('last'),
        ...top('absent/helmfile.yaml', 'none/*.yaml', last),
      })
      const found = await discoverTree(folder)
      expect(found.failures).toMatchObject([
        {
          item: expect.stringMatching(/environment prod, helmfile absent\/helmfile\.yaml$/),
          next: expect.stringContaining('add absent/helmfile.yaml, or remove it from `helmfiles:`'),
        },
      ])
      expect(found.releases.toSorted()).toEqual(['last (demo)', 'own (demo)'])
    })
  },
)
