import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
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
      ['by URL', 'https://charts.invalid/web-1.0.0.tgz', ''],
      [
        'by URL with a version, a port and a token',
        'https://charts.invalid:8443/a.b/web-1.0.0.tgz?token=abc',
        '    version: 1.0.0\n',
      ],
      ['of a registry, by address', 'oci://registry.invalid/charts/web', '    version: 1.0.0\n'],
    ])(
      '%s are rendered from the charts of the manifest, and reported, because the site has no such repository',
      async (_, chart, more) => {
        const found = await discoverTree(await tree(chart, more), { renderer: { carried } })
        expect(found.failures).toEqual([])
        expect(upstreams(found).toSorted()).toEqual(['quay.io/a/own:1', 'quay.io/a/web:1'])
        expect(found.charts).toMatchObject([{ carried: 'web 1.0.0' }])
        expect(JSON.stringify(found)).not.toContain('abc')
      },
    )

    it('by URL that the manifest does not list are reported, also where this host can download them', async () => {
      const archive = await readFile(carried[0]!.archive)
      const server = createServer((_, response) => response.end(archive))
      await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
      try {
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/charts/web-1.0.0.tgz`
        const found = await discoverTree(await tree(url, ''))
        expect(found.failures).toEqual([])
        expect(upstreams(found).toSorted()).toEqual(['quay.io/a/own:1', 'quay.io/a/web:1'])
        expect(found.charts).toMatchObject([{ chart: { reference: url }, releases: ['prod: other (demo)'] }])
        expect(found.charts[0]).not.toHaveProperty('carried')
      } finally {
        server.close()
      }
    })

    it.each([
      ['http://127.0.0.1:9/web-1.0.0.tgz', /add the chart that .* names by its URL to `charts:`/],
      ['git::http://127.0.0.1:9/charts.git@web?ref=v1', /helmfile -f/],
    ])('by URL that cannot be reached (%s) do not hide the other releases', async (url, next) => {
      const found = await discoverTree(await tree(url, ''))
      expect(upstreams(found)).toEqual(['quay.io/a/own:1'])
      expect(found.failures).toMatchObject([
        { item: expect.stringContaining('release other (demo)'), next: expect.stringMatching(next) },
      ])
    })

    it('by URL that cannot be fetched name what to list', async () => {
      const pull = () => Promise.reject(new AirgapError('DNS_FAILED', 'the host does not exist in DNS'))
      const found = await discoverTree(await tree('http://127.0.0.1:9/team/web-1.0.0.tgz', ''), {
        renderer: { pull },
      })
      expect(found.failures).toMatchObject([
        {
          likely: expect.stringContaining('the host does not exist in DNS'),
          next: expect.stringContaining("{name: web, version: 1.0.0, repo: 'http://127.0.0.1:9/team'}"),
        },
      ])
    })

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
