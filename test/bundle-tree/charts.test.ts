import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasTool } from '../bundle/has-tool.ts'
import { definitions, objectsOf, run, validate, yamlFiles } from './kubernetes.ts'

const applications = resolve('bundle/astrago/applications')
/** folder of an application with a chart of ours → its release */
const own: Record<string, string> = {
  astrago: 'astrago',
  'gpu-operator': 'gpu-operator-config',
  'gpu-session-monitoring': 'gpu-session-monitoring',
  'mpi-operator': 'mpi-operator',
}
// what the sites have; kubectl-validate has one set of schemas for each minor release
const kubernetes = 'v1.28.6'
const version = '1.28'
// the charts have no defaults for secrets
const secrets = [
  'databasePassword',
  'keycloakAdminPassword',
  'userInitPassword',
  'clientSecret',
  'nextAuthSecret',
  'harborPassword',
].flatMap(name => ['--set', `secrets.${name}=stand-in`])
const standIns = (application: string) => (application === 'astrago' ? secrets : [])

const lacking = (...programs: string[]) => programs.filter(program => !hasTool(program))
const needs = (...programs: string[]) => `(needs ${programs.join(', ')})`

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'charts-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Renders releases as a site does; answers with the folder of the files. */
async function renderSite(names: string[], addresses: [string, string], charts?: string): Promise<string> {
  const out = await mkdtemp(join(folder, 'site-'))
  run('helmfile', [
    ...['--file', resolve('bundle/astrago/helmfile.yaml.gotmpl'), '--environment', 'prod'],
    ...['--no-color', '--quiet', '--state-values-file', resolve('manifests/astrago.values.yaml')],
    ...(charts === undefined ? [] : ['--state-values-set-string', `charts=${charts}`]),
    ...['--state-values-set-string', `offline.registry=${addresses[0]}`],
    ...['--state-values-set-string', `offline.httpServer=${addresses[1]}`],
    ...names.flatMap(name => ['--selector', `name=${name}`]),
    ...['template', '--skip-deps', '--include-crds', '--kube-version', kubernetes, '--output-dir', out],
    ...['--output-dir-template', '{{ .OutputDir }}/{{ .Release.Namespace }}/{{ .Release.Name }}'],
  ])
  return out
}

it('all of our charts are looked at', async () => {
  const found = []
  for (const name of await readdir(applications))
    if ((await readdir(join(applications, name))).includes('chart')) found.push(name)
  expect(found.sort()).toEqual(Object.keys(own).sort())
})

describe.skipIf(lacking('helm').length > 0)(`charts of ours ${needs('helm')}`, () => {
  it.each(Object.keys(own))('helm lint --strict finds nothing in that of %s', application => {
    const chart = join(applications, application, 'chart')
    run('helm', ['lint', '--strict', '--kube-version', kubernetes, chart, ...standIns(application)])
  })
})

describe.skipIf(lacking('helm', 'kubectl-validate').length > 0)(
  `Kubernetes ${version} takes our charts ${needs('helm', 'kubectl-validate')}`,
  () => {
    it.each(Object.entries(own))('as they are: %s', async (application, release) => {
      const out = await mkdtemp(join(folder, 'chart-'))
      run('helm', [
        ...['template', release, join(applications, application, 'chart'), '--namespace', application],
        ...['--include-crds', '--kube-version', kubernetes, '--output-dir', out, ...standIns(application)],
      ])
      const { good, skipped, wrong } = await validate(out, { version })
      expect(wrong).toEqual([])
      expect(skipped).toEqual([])
      expect(good).toBeGreaterThan(0)
    })

    it('and would not take anything: faults are found, what it does not know is named', async () => {
      const place = await mkdtemp(join(folder, 'faults-'))
      const container = { name: 'a', image: 'b' }
      const pod = (more: object) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'p' },
        spec: { containers: [{ ...container, ...more }] },
      })
      const job = (spec: unknown) => ({
        apiVersion: 'kubeflow.org/v2beta1',
        kind: 'MPIJob',
        metadata: { name: 'pi' },
        spec,
      })
      const objects = [
        pod({}),
        pod({ imagePullPolcy: 'Always' }),
        pod({ env: [{ name: 'A', value: 1 }] }),
        {
          apiVersion: 'batch/v2',
          kind: 'CronJob',
          metadata: { name: 'future' },
          spec: {},
        },
        {
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'ClusterRole',
          metadata: { name: 'system:a' },
          rules: [],
        },
        {
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'ClusterRole',
          metadata: { name: 'a/b' },
          rules: [],
        },
        job({ mpiReplicaSpecs: {} }),
        job('none'),
      ]
      await writeFile(join(place, 'all.yaml'), objects.map(object => JSON.stringify(object)).join('\n---\n'))
      const without = await validate(place, { version })
      expect(without.good).toBe(2)
      expect(without.skipped).toEqual(['MPIJob pi', 'MPIJob pi'])
      expect(without.wrong).toEqual([
        expect.stringMatching(/^Pod p: spec\.containers\[0\]\.imagePullPolcy .*unknown field/),
        expect.stringMatching(/^Pod p: spec\.containers\[0\]\.env\[0\]\.value .*integer/),
        expect.stringMatching(/^CronJob future: .*batch\/v2/),
        expect.stringMatching(/^ClusterRole a\/b: metadata\.name /),
      ])
      // with the definition that our chart of the MPI Operator brings
      const crds = join(applications, 'mpi-operator/chart/crds')
      const { good, skipped, wrong } = await validate(place, { version, crds })
      expect([good, skipped]).toEqual([3, []])
      expect(wrong.at(-1)).toMatch(/^MPIJob pi: spec .*object/)
    })
  },
)

const programs = ['helm', 'helmfile', 'kubectl-validate']
describe.skipIf(lacking(...programs).length > 0)(
  `Kubernetes ${version} takes what a site installs ${needs(...programs)}`,
  () => {
    it.each<[string, [string, string]]>([
      ['a closed one', ['192.0.2.1:35000', 'http://192.0.2.1:8080']],
      ['one with internet', ['', '']],
    ])('%s, of our charts', async (_, addresses) => {
      const out = await renderSite(Object.values(own), addresses)
      const { good, skipped, wrong } = await validate(out, { version })
      expect(wrong).toEqual([])
      expect(skipped).toEqual([])
      expect(good).toBeGreaterThan(30)
    })

    // the published charts are not fetched by tests
    const charts = process.env['ASTRAGO_CHARTS']
    it.skipIf(charts === undefined)(
      'all of it (needs ASTRAGO_CHARTS, a folder of the published charts as NAME-VERSION.tgz)',
      async () => {
        const out = await renderSite([], ['192.0.2.1:35000', 'http://192.0.2.1:8080'], resolve(charts!))
        const crds = await definitions(out, join(folder, 'definitions'))
        const { good, skipped, wrong } = await validate(out, { version, crds })
        expect(wrong).toEqual([])
        expect(skipped).toEqual([])
        const files = await yamlFiles(out)
        expect(good).toBe((await Promise.all(files.map(objectsOf))).flat().length)
      },
      180_000,
    )
  },
)
