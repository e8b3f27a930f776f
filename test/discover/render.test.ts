import { writeFile } from 'node:fs/promises'
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

const app = {
  'chart/Chart.yaml': chartYaml('app'),
  'chart/templates/pod.yaml': podTemplate('app', 'a/app:1'),
}
/** A chart that does not render without a value. */
const strict = {
  'strict/Chart.yaml': chartYaml('strict'),
  'strict/templates/x.yaml': '{{ required "token is required" .Values.token }}',
}

describe.skipIf(lacking.length > 0)(`releases (needs ${lacking.join(', ') || 'nothing else'})`, () => {
  it('are rendered with and without the addresses of the site', async () => {
    const folder = await writeTree({
      ...app,
      'chart/templates/leak.yaml':
        'apiVersion: v1\nkind: Pod\nmetadata: {name: b}\nspec: {containers: [{name: c, image: "quay.io/a/leak:1"}]}\n',
      'helmfile.yaml.gotmpl': `${environments}releases:\n${release('app', './chart')}`,
    })
    const { images, releases, failures } = await discoverTree(folder)
    expect(releases).toEqual(['app (demo)'])
    expect(failures).toEqual([])
    expect(images.map(({ upstream, leak }) => [upstream, leak])).toEqual([
      ['quay.io/a/leak:1', true],
      ['quay.io/a/app:1', false],
    ])
  })

  it('that fail to render are named, with the message of helm and what helps, and do not hide the others', async () => {
    const folder = await writeTree({
      ...app,
      ...strict,
      'helmfile.yaml.gotmpl': `${environments}releases:\n${release('a-strict', './strict')}${release('app', './chart')}`,
    })
    const values = join(folder, 'own.yaml')
    await writeFile(values, 'a: 1\n')
    const found = await discoverTree(folder, { deployment: { values: [values] } })
    expect(upstreams(found)).toEqual(['quay.io/a/app:1'])
    expect(found.failures).toEqual([
      {
        item: `${folder}/helmfile.yaml.gotmpl: environment prod, release a-strict (demo)`,
        likely: expect.stringMatching(
          /^execution error at \(strict\/templates\/x\.yaml.*: token is required$/,
        ),
        next: `set the value that strict/templates/x.yaml:1:3 requires in the environment prod, or in a file under \`values:\` of the deployment in the manifest; to render it by hand, run: helmfile -f ${folder}/helmfile.yaml.gotmpl -e prod --state-values-file ${values} -l name=a-strict,namespace=demo template`,
      },
    ])
  })

  it('whose values helmfile cannot render do not hide the others, in the same file and in other ones', async () => {
    const values = '{{ .Values.missing.key }}\n'
    const nested = (name: string) =>
      `- path: ${name}/helmfile.yaml.gotmpl\n  values:\n  - {{ toYaml .Values | nindent 4 }}\n`
    const broken = '  - {name: broken, namespace: demo, chart: ./chart, values: [./v.yaml.gotmpl]}\n'
    const folder = await writeTree({
      'first/v.yaml.gotmpl': values,
      'first/helmfile.yaml.gotmpl': `releases:\n${broken}${release('first', './chart')}`,
      'second/helmfile.yaml.gotmpl': `releases:\n${release('second', './chart')}`,
      ...Object.fromEntries(
        Object.entries(app).flatMap(([path, text]) => [
          [`first/${path}`, text],
          [`second/${path}`, text],
        ]),
      ),
      'helmfile.yaml.gotmpl': `${environments}helmfiles:\n${nested('first')}${nested('second')}`,
    })
    const { releases, failures } = await discoverTree(folder)
    expect(releases.toSorted()).toEqual(['first (demo)', 'second (demo)'])
    expect(failures).toEqual([
      expect.objectContaining({
        item: expect.stringContaining('release broken (demo)'),
        next: expect.stringContaining('set the value missing in the environment prod'),
      }),
    ])
  })

  it('are reported with the environment where the helmfile itself cannot be read', async () => {
    const folder = await writeTree({
      'helmfile.yaml.gotmpl': 'environments:\n  prod: {values: [absent.yaml]}\n---\nreleases: []\n',
    })
    expect(await discoverTree(folder)).toMatchObject({
      releases: [],
      failures: [
        {
          item: `${folder}/helmfile.yaml.gotmpl: environment prod`,
          next: expect.stringContaining('add absent.yaml, or remove prod from `environments:`'),
        },
      ],
    })
  })

  it('of an unknown environment are refused', async () => {
    const folder = await writeTree({ 'helmfile.yaml.gotmpl': `${environments}releases: []\n` })
    await expect(discoverTree(folder, { deployment: { environment: 'nowhere' } })).rejects.toMatchObject({
      code: 'USAGE',
      item: expect.stringContaining('nowhere'),
    })
  })

  it('are what their post-renderers make of them', async () => {
    const folder = await writeTree({
      ...app,
      'post.sh': '#!/bin/sh\nsed "s#a/app:1#a/patched:2#"\n',
      'helmfile.yaml.gotmpl': `${environments}releases:\n${release('app', './chart', '    postRenderer: ./post.sh\n')}`,
    })
    expect(upstreams(await discoverTree(folder))).toEqual(['quay.io/a/patched:2'])
  })

  it('of the same name in several namespaces and clusters are all rendered; conditions and needs hold', async () => {
    const chart = (name: string) => ({
      [`${name}/Chart.yaml`]: chartYaml(name),
      [`${name}/templates/pod.yaml`]: podTemplate(name, `a/${name}:1`),
    })
    const folder = await writeTree({
      ...chart('east'),
      ...chart('west'),
      ...chart('other'),
      ...chart('off'),
      'helmfile.yaml.gotmpl': `${environments}releases:
${release('app', './east', '    kubeContext: east\n')}${release('app', './west', '    kubeContext: west\n')}${release('app', './other', '    needs: [demo/off]\n').replace('namespace: demo', 'namespace: other')}${release('off', './off', '    condition: offline.enabled\n')}`,
    })
    const found = await discoverTree(folder)
    expect(found.failures).toEqual([])
    expect(new Set(found.releases)).toEqual(new Set(['app (demo)', 'app (other)']))
    expect(upstreams(found).toSorted()).toEqual(['quay.io/a/east:1', 'quay.io/a/other:1', 'quay.io/a/west:1'])
  })

  it('are rendered as for an upgrade, too', async () => {
    const folder = await writeTree({
      ...app,
      'chart/templates/migrate.yaml': `{{- if .Release.IsUpgrade }}\n${podTemplate('migrate', 'a/migrate:1')}{{- end }}`,
      'helmfile.yaml.gotmpl': `${environments}releases:\n${release('app', './chart')}`,
    })
    expect(upstreams(await discoverTree(folder))).toEqual(['quay.io/a/app:1', 'quay.io/a/migrate:1'])
  })

  it.skipIf(missing('kustomize').length === 0)(
    'with patches: the message says that kustomize is missing, and the others are rendered (needs a PATH without kustomize)',
    async () => {
      const patch =
        '    jsonPatches: [{target: {version: v1, kind: Pod, name: app}, patch: [{op: remove, path: /spec/containers/0}]}]\n'
      const folder = await writeTree({
        ...app,
        'helmfile.yaml.gotmpl': `${environments}releases:\n${release('patched', './chart', patch)}${release('app', './chart')}`,
      })
      const { releases, failures } = await discoverTree(folder)
      expect(releases).toEqual(['app (demo)'])
      expect(failures).toMatchObject([
        {
          item: expect.stringContaining('release patched (demo)'),
          next: expect.stringMatching(/^put kustomize on PATH/),
        },
      ])
    },
  )

  it('leave the tree as it is, though a chart lacks its dependencies', async () => {
    const dependency = 'dependencies: [{name: sub, version: 1.0.0, repository: "file://../sub"}]\n'
    const folder = await writeTree({
      'chart/Chart.yaml': chartYaml('app', dependency),
      'sub/Chart.yaml': chartYaml('sub'),
      'helmfile.yaml.gotmpl': `${environments}releases:\n${release('app', './chart')}`,
    })
    expect((await discoverTree(folder)).failures).toMatchObject([
      { next: expect.stringMatching(/^build the dependencies of this chart \(sub\).*helm dependency build/) },
    ])
  })

  it('whose objects have random names are paired with their upstream', async () => {
    const job = podTemplate('x', 'IMAGE')
      .replace('apiVersion: v1\nkind: Pod', 'apiVersion: batch/v1\nkind: Job')
      .replace('spec: {containers', 'spec: {template: {spec: {containers')
      .replace(/\}\n$/, '}}}\n')
    const named = (name: string, image: string) =>
      job.replace('{name: x}', `{name: ${name}}`).replace('IMAGE', image)
    const folder = await writeTree({
      'chart/Chart.yaml': chartYaml('app'),
      'chart/templates/a.yaml': named('a-{{ randAlphaNum 5 | lower }}', 'a/job:1'),
      'chart/templates/b.yaml': named('b-{{ now | unixEpoch }}-{{ randNumeric 3 }}', 'b/job:1'),
      'chart/templates/c.yaml': named('{{ uuidv4 }}', 'c/job:1'),
      'helmfile.yaml.gotmpl': `${environments}releases:\n${release('app', './chart')}`,
    })
    const found = await discoverTree(folder)
    expect(upstreams(found)).toEqual(['quay.io/a/job:1', 'quay.io/b/job:1', 'quay.io/c/job:1'])
    expect(found.images.filter(image => image.unknown)).toEqual([])
  })
})
