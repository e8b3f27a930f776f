import { spawn, spawnSync } from 'node:child_process'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { digestOf } from '../../../src/core/digest.ts'
import { hasTool } from '../../bundle/has-tool.ts'
import { combine, imageOf, imageSample, noise, writeBundle } from '../../bundle/samples.ts'
import { buildProgram, freePort, type Running, start, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

const layer = noise(9 << 20, 3)
const layerPath = `/v2/app/blobs/${digestOf(layer)}`
const openMetrics = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

async function served(...more: string[]): Promise<{ site: TestSite; running: Running }> {
  const site = await testSite()
  await writeBundle(site.bundle, combine(imageSample(imageOf('registry.example/app:1', [layer]))))
  const running = start(['serve', ...site.serving, ...more])
  onTestFinished(() => void running.child.kill('SIGKILL'))
  await running.said('stop with Ctrl-C')
  return { site, running }
}

async function text(url: string, accept?: string): Promise<{ status: number; type: string; body: string }> {
  const answer = await fetch(url, accept === undefined ? {} : { headers: { accept } })
  return {
    status: answer.status,
    type: answer.headers.get('content-type') ?? '',
    body: await answer.text(),
  }
}

/** `name{labels}` → value */
function samples(body: string): Map<string, number> {
  const lines = body.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end; await sleep(100))
    if (await condition()) return
  throw new Error(`not in time: ${what}`)
}

describe.each(['1', '2'])('servers with %s process(es)', { timeout: 60_000 }, processes => {
  it('answer probes, and report why they are not ready', async () => {
    const { site } = await served('--processes', processes)
    expect(await text(`${site.http}/healthz`)).toEqual({
      status: 200,
      type: 'text/plain; charset=utf-8',
      body: 'ok\n',
    })
    const ready = await text(`${site.http}/readyz`)
    expect(ready).toMatchObject({
      status: 200,
      body: '[+]bundle sample 1.0.0 ok\n[+]servers ok\n[+]disk ok\nready\n',
    })
    const head = await fetch(`${site.http}/readyz`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    // what is left of a medium that was removed
    const file = await open(site.bundle, 'r+')
    await file.truncate(0)
    await file.close()
    await until(async () => (await text(`${site.http}/readyz`)).status === 503, 'a bundle that was emptied')
    expect((await text(`${site.http}/readyz`)).body).toMatch(
      /^\[-\]bundle sample 1\.0\.0 failed: .+\n\[\+\]servers ok\n\[\+\]disk ok\nnot ready\n$/,
    )
    expect((await text(`${site.http}/healthz`)).status).toBe(200)
    expect(samples((await text(`${site.http}/metrics`)).body).get('airgap_ready')).toBe(0)
  })

  it('count requests, bytes, durations and content, the same whichever process is asked', async () => {
    const { site } = await served('--processes', processes)
    for (let i = 0; i < 4; i++)
      expect((await (await fetch(`http://${site.registry}${layerPath}`)).bytes()).length).toBe(layer.length)
    expect((await fetch(`http://${site.registry}/v2/none/manifests/1`)).status).toBe(404)
    const figures = async () => samples((await text(`${site.http}/metrics`)).body)
    const all = 'airgap_content_blobs{bundle="sample",version="1.0.0",state="verified"}'
    await until(async () => ((await figures()).get(all) ?? 0) > 2, 'verified content')
    await sleep(1_200)
    const found = await figures()
    expect(found.get('airgap_http_requests_total{server="registry",code="2xx"}')).toBe(4)
    expect(found.get('airgap_http_requests_total{server="registry",code="4xx"}')).toBe(1)
    expect(
      found.get('airgap_http_response_body_bytes_total{server="registry"}')! - 4 * layer.length,
    ).toBeLessThan(1_000)
    expect(found.get('airgap_http_request_duration_seconds_count{server="registry"}')).toBe(5)
    expect(found.get('airgap_http_request_duration_seconds_bucket{server="registry",le="+Inf"}')).toBe(5)
    expect(
      found.get('airgap_content_bytes{bundle="sample",version="1.0.0",state="verified"}'),
    ).toBeGreaterThan(layer.length)
    expect(found.get('airgap_content_blobs{bundle="sample",version="1.0.0",state="damaged"}')).toBe(0)
    expect(found.get('airgap_serving_processes')).toBe(Number(processes))
    expect(found.get('process_resident_memory_bytes')).toBeGreaterThan(Number(processes) * (20 << 20))
    expect(found.get('process_cpu_seconds_total')).toBeGreaterThan(0)
  })

  it('count damaged content', async () => {
    const { site } = await served('--processes', processes)
    const file = await open(site.bundle, 'r+')
    const { size } = await file.stat()
    await file.write(Buffer.alloc(4096, 1), 0, 4096, size - (5 << 20))
    await file.close()
    const state = 'airgap_content_bytes{bundle="sample",version="1.0.0",state="damaged"}'
    await until(
      async () => samples((await text(`${site.http}/metrics`)).body).get(state) === layer.length,
      'damage',
    )
  })

  it('write OpenMetrics where the client prefers it', async () => {
    const { site } = await served('--processes', processes)
    const found = await text(`${site.http}/metrics`, 'application/openmetrics-text;version=1.0.0,*/*;q=0.1')
    expect(found.type).toBe(openMetrics)
    expect(found.body.endsWith('# EOF\n')).toBe(true)
    expect((await text(`${site.http}/metrics`)).type).toBe('text/plain; version=0.0.4; charset=utf-8')
  })

  it.skipIf(!hasTool('promtool') || !hasTool('prometheus'))(
    'are read by Prometheus in both formats (needs promtool, prometheus)',
    async () => {
      const { site } = await served('--processes', processes)
      const { body } = await text(`${site.http}/metrics`)
      const checked = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' })
      expect(`${checked.stdout}${checked.stderr}`).toBe('')
      expect(checked.status).toBe(0)
      const port = await freePort()
      const config = join(site.work, 'prometheus.yml')
      await writeFile(
        config,
        JSON.stringify({
          global: { scrape_interval: '1s', scrape_timeout: '1s' },
          scrape_configs: [
            { job_name: 'site', static_configs: [{ targets: [site.http.replace('http://', '')] }] },
          ],
        }),
      )
      const prometheus = spawn(
        'prometheus',
        [
          `--config.file=${config}`,
          `--storage.tsdb.path=${join(site.work, 'tsdb')}`,
          `--web.listen-address=127.0.0.1:${port}`,
        ],
        { stdio: 'ignore' },
      )
      onTestFinished(() => void prometheus.kill('SIGKILL'))
      const query = async (expression: string) => {
        const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`
        const answer = await fetch(url).catch(() => undefined)
        const found = (await answer?.json().catch(() => undefined)) as
          | { data?: { result: { value: [number, string] }[] } }
          | undefined
        return found?.data?.result[0]?.value[1]
      }
      await until(async () => (await query('up{job="site"}')) === '1', 'a scrape')
      expect(await query('airgap_ready')).toBe('1')
      expect(
        Number(await query('airgap_http_request_duration_seconds_bucket{server="http",le="60.0"}')),
      ).toBeGreaterThan(0)
    },
  )
})
