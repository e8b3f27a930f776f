import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { siteMetrics } from '../../src/deploy/site-metrics.ts'
import { newCounters } from '../../src/serve/counters.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { type Any, objectsOf, yamlFiles } from './kubernetes.ts'
import { applications, closed, internet, publishedCharts, renderSite, secured } from './site.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'site-monitoring-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const source = (name: string) => readFile(join(applications, 'prometheus', name), 'utf8')

/** Names of all series that the servers have, histograms included. */
function seriesNames(): Set<string> {
  const nothing = { blobs: 0, bytes: 0 }
  const metrics = siteMetrics({
    serving: { processes: [], draining: [], restarts: 0, lastEnd: null, servers: { http: newCounters() } },
    content: [{ name: 'a', version: '1', verified: nothing, damaged: nothing, unread: nothing }],
    usage: { cpuSeconds: 1, residentBytes: 1, openFiles: 1 },
    disk: { size: 1, available: 1 },
    pushed: 1,
    certificate: new Date(0),
    ready: true,
    since: new Date(0),
  })
  const names = metrics.flatMap(({ name, type }) => {
    if (type === 'counter') return [`${name}_total`]
    return type === 'histogram' ? ['bucket', 'sum', 'count'].map(end => `${name}_${end}`) : [name]
  })
  // written by Prometheus itself
  return new Set([...names, 'up'])
}

/** Names of metrics in an expression: words that are neither called nor labels. */
function namesIn(expression: string): string[] {
  const bare = expression.replace(/\{[^}]*\}|\[[^\]]*\]/g, '').replace(/\b(?:by|without)\s*\([^)]*\)/g, '')
  return [...bare.matchAll(/\b[a-z_][a-z_0-9]*\b(?!\s*\()/g)].map(([name]) => name)
}

describe('the dashboard and the alerts of the site', () => {
  it('use metrics that the servers have', async () => {
    const known = seriesNames()
    const dashboard = JSON.parse(await source('offline-site.json'))
    const rules = parse(await source('offline-site.rules.yaml'))
    const expressions: string[] = [
      ...dashboard.panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
        targets.map(one => one.expr),
      ),
      ...rules.groups.flatMap((group: { rules: { expr: string }[] }) => group.rules.map(one => one.expr)),
    ]
    expect(expressions.length).toBeGreaterThan(15)
    expect(expressions.flatMap(namesIn).filter(name => !known.has(name))).toEqual([])
  })

  it.skipIf(!hasTool('promtool'))('are rules that Prometheus accepts (needs promtool)', () => {
    const rules = join(applications, 'prometheus', 'offline-site.rules.yaml')
    const checked = spawnSync('promtool', ['check', 'rules', rules], { encoding: 'utf8' })
    expect([checked.status, checked.stdout]).toEqual([0, expect.stringContaining('6 rules found')])
  })

  it.skipIf(!hasTool('helmfile'))('are in the release of a closed site (needs helmfile)', async () => {
    const charts = await publishedCharts(folder)
    for (const [addresses, scheme] of [
      [closed, 'http'],
      [secured, 'https'],
    ] as const) {
      const out = await renderSite({ into: folder, names: ['prometheus'], addresses, charts })
      const objects = (await Promise.all((await yamlFiles(out)).map(objectsOf))).flat()
      const find = (kind: string, name: RegExp): Any => {
        const found = objects.find(one => one.kind === kind && name.test(one.metadata.name))
        if (found === undefined) throw new Error(`no ${kind} with the name ${name} was rendered`)
        return found
      }
      const secret = find('Secret', /scrape-confg/)
      const scrape = Buffer.from(secret.data['additional-scrape-configs.yaml'], 'base64').toString()
      const job = parse(scrape).find((one: { job_name: string }) => one.job_name === 'offline-site')
      expect(job).toMatchObject({ scheme, static_configs: [{ targets: ['192.0.2.1:8080'] }] })
      expect(job.tls_config?.ca_file).toBe(
        scheme === 'https' ? '/etc/prometheus/configmaps/offline-site-ca/ca.crt' : undefined,
      )
      if (scheme === 'https') expect(find('ConfigMap', /^offline-site-ca$/).data['ca.crt']).toBe(addresses[2])
      const board = find('ConfigMap', /^offline-site-dashboard$/)
      expect(board.metadata.labels).toEqual({ grafana_dashboard: '1' })
      expect(JSON.parse(board.data['offline-site.json'])).toEqual(
        JSON.parse(await source('offline-site.json')),
      )
      expect(find('PrometheusRule', /offline-site$/).spec.groups).toEqual(
        parse(await source('offline-site.rules.yaml')).groups,
      )
      if (!hasTool('promtool')) continue
      const config = join(folder, `${scheme}.yml`)
      // Debian's promtool knows no service discovery, which the other job needs
      await writeFile(config, JSON.stringify({ scrape_configs: [job] }))
      const checked = spawnSync('promtool', ['check', 'config', '--syntax-only', config], {
        encoding: 'utf8',
      })
      expect([checked.stderr, checked.status]).toEqual(['', 0])
    }
    const open = await renderSite({ into: folder, names: ['prometheus'], addresses: internet, charts })
    const objects = (await Promise.all((await yamlFiles(open)).map(objectsOf))).flat()
    expect(JSON.stringify(objects)).not.toContain('offline-site')
  })
})
