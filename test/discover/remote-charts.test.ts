import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { AirgapError } from '../../src/core/errors.ts'
import type { CarriedChart } from '../../src/discover/deployment.ts'
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

describe.skipIf(lacking.length > 0)(
  `charts of repositories and registries (needs ${lacking.join(', ') || 'nothing else'})`,
  () => {
    let carried: CarriedChart[]
    beforeAll(async () => {
      const folder = await writeTree({
        'web/Chart.yaml': chartYaml('web'),
        'web/templates/pod.yaml': podTemplate('web', 'a/web:1'),
      })
      execFileSync('helm', ['package', join(folder, 'web'), '--destination', folder])
      carried = [
        {
          name: 'web',
          version: '1.0.0',
          repo: 'https://charts.invalid',
          archive: join(folder, 'web-1.0.0.tgz'),
        },
      ]
    })

    const tree = (chart: string, more = '    version: 1.0.0\n') =>
      writeTree({
        'own/Chart.yaml': chartYaml('own'),
        'own/templates/pod.yaml': podTemplate('own', 'a/own:1'),
        'helmfile.yaml.gotmpl': `repositories: [{name: acme, url: "https://charts.invalid/"}, {name: oci, url: registry.invalid/charts, oci: true}]
${environments}releases:
${release('other', chart, more)}${release('own', './own')}`,
      })

    it.each([
      ['of a repository', 'acme/web', '    version: 1.0.0\n'],
      ['of a repository, by a range', 'acme/web', '    version: ">=0.9.0, <2"\n'],
      ['of a repository, by an operator that only helm knows', 'acme/web', '    version: "=>1.0"\n'],
      ['of a repository, without a version', 'acme/web', ''],
      ['of a registry', 'oci/web', '    version: 1.0.0\n'],
      ['of a registry, by address', 'oci://registry.invalid/charts/web', '    version: 1.0.0\n'],
    ])(
      '%s are rendered from the charts of the manifest, and reported, because the site has no such repository',
      async (_, chart, more) => {
        const found = await discoverTree(await tree(chart, more), { renderer: { carried } })
        expect(found.failures).toEqual([])
        expect(upstreams(found).toSorted()).toEqual(['quay.io/a/own:1', 'quay.io/a/web:1'])
        expect(found.charts).toMatchObject([{ carried: 'web 1.0.0' }])
      },
    )

    it.skipIf(missing('kustomize').length > 0)(
      'and that helmfile patches are, too (needs kustomize)',
      async () => {
        const patch = `    version: 1.0.0
    jsonPatches:
      - target: {version: v1, kind: Pod, name: web}
        patch: [{op: replace, path: /spec/containers/0/image, value: quay.io/a/patched:2}]
`
        const found = await discoverTree(await tree('acme/web', patch), { renderer: { carried } })
        expect(found.failures).toEqual([])
        expect(upstreams(found).toSorted()).toEqual(['quay.io/a/own:1', 'quay.io/a/patched:2'])
        expect(found.charts).toMatchObject([{ carried: 'web 1.0.0' }])
      },
    )

    it('are no leak where the helmfile names the servers of the site', async () => {
      const folder = await writeTree({
        'helmfile.yaml.gotmpl': `${environments.replace('---\n', '')}---
repositories: [{name: acme, url: '{{ .Values.offline.httpServer | default "https://charts.invalid" }}/charts'}]
releases:
${release('other', 'acme/web', '    version: 1.0.0\n')}`,
      })
      const found = await discoverTree(folder, { renderer: { carried } })
      expect(upstreams(found)).toEqual(['quay.io/a/web:1'])
      expect(found.charts).toEqual([])
    })

    it('are fetched where the manifest does not list them', async () => {
      const asked: unknown[] = []
      const pull = async (chart: { name: string; version: string; repo: string }) => {
        asked.push([chart.name, chart.version, chart.repo])
        return carried[0]!.archive
      }
      const found = await discoverTree(await tree('acme/web'), { renderer: { pull } })
      expect(upstreams(found).toSorted()).toEqual(['quay.io/a/own:1', 'quay.io/a/web:1'])
      expect(asked).toEqual([['web', '1.0.0', 'https://charts.invalid/']])
      expect(found.charts).toMatchObject([
        { chart: { reference: 'acme/web' }, releases: ['prod: other (demo)'] },
      ])
      expect(found.charts[0]).not.toHaveProperty('carried')
    })

    it('that cannot be fetched do not hide the other releases, and the message shows what to list', async () => {
      const pull = () => Promise.reject(new AirgapError('DNS_FAILED', 'the host does not exist in DNS'))
      const found = await discoverTree(await tree('acme/web'), { renderer: { pull } })
      expect(upstreams(found)).toEqual(['quay.io/a/own:1'])
      expect(found.failures).toEqual([
        {
          item: expect.stringContaining('release other (demo)'),
          likely: expect.stringContaining('the host does not exist in DNS'),
          next: expect.stringContaining("{name: web, version: 1.0.0, repo: 'https://charts.invalid/'}"),
        },
      ])
    })

    it('with a wrong digest stop everything', async () => {
      const pull = () => Promise.reject(new AirgapError('DIGEST_MISMATCH', 'wrong'))
      await expect(discoverTree(await tree('acme/web'), { renderer: { pull } })).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
      })
    })

    it('of which only helm may know fail with the commands that help', async () => {
      const found = await discoverTree(await tree('unknown/web', ''), { renderer: { carried: [] } })
      expect(found.failures).toMatchObject([
        { likely: 'repo unknown not found', next: expect.stringMatching(/`charts:`.*helmfile repos/) },
      ])
    })
  },
)
