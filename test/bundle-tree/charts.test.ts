import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasTool } from '../bundle/has-tool.ts'
import { definitions, objectsOf, run, validate, yamlFiles } from './kubernetes.ts'
import {
  type Addresses,
  applications,
  closed,
  internet,
  kubernetes,
  own,
  publishedCharts,
  renderSite,
  secured,
  version,
} from './site.ts'

// the charts have no default secrets
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

it('all of our charts are tested', async () => {
  const found = []
  for (const name of await readdir(applications))
    if ((await readdir(join(applications, name))).includes('chart')) found.push(name)
  expect(found.sort()).toEqual(Object.keys(own).sort())
})

describe.skipIf(lacking('helm').length > 0)(`our charts ${needs('helm')}`, () => {
  it.each(Object.keys(own))('helm lint --strict finds nothing in the chart of %s', application => {
    const chart = join(applications, application, 'chart')
    run('helm', ['lint', '--strict', '--kube-version', kubernetes, chart, ...standIns(application)])
  })
})

describe.skipIf(lacking('helm', 'kubectl-validate').length > 0)(
  `Kubernetes ${version} accepts our charts ${needs('helm', 'kubectl-validate')}`,
  () => {
    it.each(Object.entries(own))('with their default values: %s', async (application, release) => {
      const out = await mkdtemp(join(folder, 'chart-'))
      run('helm', [
        'template',
        release,
        join(applications, application, 'chart'),
        '--namespace',
        application,
        '--include-crds',
        '--kube-version',
        kubernetes,
        '--output-dir',
        out,
        ...standIns(application),
      ])
      const { good, skipped, wrong } = await validate(out, { version })
      expect(wrong).toEqual([])
      expect(skipped).toEqual([])
      expect(good).toBeGreaterThan(0)
    })

    it('and would find faults, and names objects without a schema', async () => {
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
      // with the definition in our chart of the MPI Operator
      const crds = join(applications, 'mpi-operator/chart/crds')
      const { good, skipped, wrong } = await validate(place, { version, crds })
      expect([good, skipped]).toEqual([3, []])
      expect(wrong.at(-1)).toMatch(/^MPIJob pi: spec .*object/)
    })
  },
)

const programs = ['helm', 'helmfile', 'kubectl-validate']
describe.skipIf(lacking(...programs).length > 0)(
  `Kubernetes ${version} accepts what a site installs ${needs(...programs)}`,
  () => {
    it.each<[string, Addresses]>([
      ['a closed one', closed],
      ['one with internet', internet],
    ])('%s, with our charts', async (_, addresses) => {
      const out = await renderSite({ into: folder, names: Object.values(own), addresses })
      const { good, skipped, wrong } = await validate(out, { version })
      expect(wrong).toEqual([])
      expect(skipped).toEqual([])
      expect(good).toBeGreaterThan(30)
    })

    it.each<[string, Addresses]>([
      ['a closed one', closed],
      ['a closed one with TLS', secured],
    ])('%s, with all charts', { timeout: 180_000 }, async (_, addresses) => {
      const charts = await publishedCharts(join(folder, 'published'))
      const out = await renderSite({ into: folder, names: [], addresses, charts })
      const crds = await definitions(out, `${out}-definitions`)
      const { good, skipped, wrong } = await validate(out, { version, crds })
      expect(wrong).toEqual([])
      expect(skipped).toEqual([])
      const files = await yamlFiles(out)
      expect(good).toBe((await Promise.all(files.map(objectsOf))).flat().length)
    })
  },
)

describe.skipIf(lacking('helm', 'helmfile').length > 0)(
  `pods that fetch from the site ${needs('helm', 'helmfile')}`,
  () => {
    const keycloak = async (addresses: Addresses) => {
      const charts = await publishedCharts(join(folder, 'published'))
      const out = await renderSite({ into: folder, names: ['keycloak'], addresses, charts })
      return (await Promise.all((await yamlFiles(out)).map(objectsOf))).flat()
    }
    const themeOf = (things: Awaited<ReturnType<typeof keycloak>>) =>
      things.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === 'keycloak')?.['spec']
        .template.spec

    it('check the server of a site with TLS: Keycloak gets the CA of the values', async () => {
      const things = await keycloak(secured)
      const map = things.find(
        ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'keycloak-site-ca',
      )
      expect(map?.['data']).toEqual({ 'ca.crt': secured[2] })
      const { initContainers, volumes } = themeOf(things)
      const [{ args, volumeMounts }] = initContainers
      expect(args).toEqual([
        '--ca-certificate=/site-ca/ca.crt',
        '-O',
        '/theme/keycloak-theme.jar',
        'https://192.0.2.1:8080/files/download/v1.1.5/keycloak-theme.jar',
      ])
      expect(volumeMounts).toContainEqual({ name: 'site-ca', mountPath: '/site-ca', readOnly: true })
      expect(volumes).toContainEqual({ name: 'site-ca', configMap: { name: 'keycloak-site-ca' } })
    })

    it('have no trace of a CA without TLS, and where they know the CA', async () => {
      for (const addresses of [closed, ['192.0.2.1:35000', 'https://192.0.2.1:8080'] as Addresses]) {
        const things = await keycloak(addresses)
        expect(JSON.stringify(things)).not.toContain('site-ca')
        expect(themeOf(things).initContainers[0].args[0]).toBe('-O')
      }
    })
  },
)
