import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ScanResult } from '../../src/scan/finding.ts'
import { hasTool } from '../bundle/has-tool.ts'
import { billLock } from '../kinds/support/bill-lock.ts'
import { dpkgStatus, statusPath, tarOf } from '../layers/support.ts'
import { imageBundle } from './image-bundle.ts'

const program = resolve(import.meta.dirname, '../../src/cli/airgap.ts')
const markup = '<img src=x onerror=alert(1)>"\'&'
let folder: string
let bundle: string
let previous: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-report-'))
  bundle = join(folder, 'sample-2.tar')
  previous = join(folder, 'sample-1.tar')
  const layer = tarOf([
    { path: statusPath, text: dpkgStatus('bash') },
    {
      path: 'a/node_modules/x/package.json',
      text: JSON.stringify({ name: markup, version: '1\u202e', license: markup }),
    },
    { path: 'b/<b>.jar', text: 'no archive' },
  ])
  const { deb, wheel } = billLock.items
  const name = 'docker.io/library/app:1'
  await imageBundle(previous, { name, layers: [layer], more: { items: { deb: deb! } } })
  const leftOut = [{ name: markup, reason: 'it is not carried' }]
  await imageBundle(bundle, {
    name,
    layers: [layer],
    more: { items: { deb: deb!, wheel: wheel!.map(item => ({ ...item, leftOut })) } },
  })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function airgap(...args: string[]) {
  return spawnSync(process.execPath, [program, ...args, '--quiet'], { encoding: 'utf8', cwd: folder })
}

async function report(...args: string[]): Promise<string> {
  const ran = airgap('inspect', bundle, 'report', ...args)
  expect([ran.status, ran.stderr]).toEqual([0, ''])
  return await readFile(join(folder, 'sample-2.report.html'), 'utf8')
}

const result: ScanResult = {
  scanVersion: 1,
  bundle: { name: 'sample', version: '1.0.0', digest: 'sha256:other' },
  scannedAt: '2026-11-01T00:00:00Z',
  scanner: { name: 'grype', version: '0.1' },
  database: { built: '2026-10-01T00:00:00Z' },
  vex: ['vendor.json'],
  targets: [{ name: 'docker.io/library/app:1', packages: 2, notRead: 1 }],
  findings: [
    {
      id: 'CVE-1',
      aliases: [],
      severity: 'critical',
      target: 'docker.io/library/app:1',
      package: 'bash',
      version: '1.0-1',
      fixedIn: [],
      url: 'javascript:alert(1)',
    },
    {
      id: `CVE-2${markup}`,
      aliases: [],
      severity: 'high',
      target: 'x',
      package: 'y',
      version: '1',
      fixedIn: [],
      vex: { status: 'not_affected', file: 'vendor.json' },
    },
  ],
}

describe('the report on a bundle', () => {
  it('is one file next to the bundle that loads nothing and runs nothing', async () => {
    const page = await report()
    expect(page).toContain(`default-src &#39;none&#39;; style-src &#39;sha256-`)
    expect(page).not.toMatch(
      /<script|<link|<iframe|<object|<form|@import|url\(|\son\w+=(?=[^>]*>)(?<=<[a-z][^>]*)/i,
    )
    expect(
      [...page.matchAll(/<[^>]*\s(?:href|src|action|srcset)="([^"]*)"/g)].map(match => match[1]![0]),
    ).toEqual(Array(10).fill('#'))
  })

  it('shows every text of the bundle as text', async () => {
    const page = await report()
    expect(page).not.toContain('<img')
    expect(page).not.toContain('\u202e')
    expect(page).toContain('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;')
    expect(page).toContain('b/&lt;b&gt;.jar')
  })

  it('shows contents, licences, who vouches, what was left out, and packages inside images', async () => {
    const page = await report()
    for (const text of [
      'sample-2.tar has no signature next to it',
      'MIT OR Apache-2.0',
      'docker.io (its tag when locked)',
      'it is not carried',
      'Not compared with an earlier bundle',
      'No results of a scan were passed',
      'In 1 of 1 images, some layers or files could not be read',
    ])
      expect(page).toContain(text)
    expect(await report('--no-layers')).toContain('The layers were not read for this report')
  })

  it('shows differences to an earlier bundle', async () => {
    const page = await report('--previous', previous, '--no-layers')
    expect(page).toMatch(
      /<tr class="good"><td class="t">added<\/td><td class="t">[^<]*<\/td><td class="t">app/,
    )
  })

  it('shows results of a scan, and that they are of another bundle', async () => {
    const path = join(folder, 'scan.json')
    await writeFile(path, JSON.stringify(result))
    const page = await report('--scan', path, '--no-layers')
    expect(page).toContain('The results are of another bundle: sha256:other')
    expect(page).toContain('1 critical, 0 high')
    expect(page).toContain('Findings that do not count, by VEX')
    expect(page).not.toContain('javascript:')
    await writeFile(path, '{}')
    expect(airgap('inspect', bundle, 'report', '--scan', path)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('not the results of a scan'),
    })
  })

  it('shows who signed, by the keys that are passed', async () => {
    expect(airgap('keygen', '--out', 'release', '--no-password')).toMatchObject({ status: 0 })
    expect(airgap('keygen', '--out', 'other', '--no-password')).toMatchObject({ status: 0 })
    expect(airgap('sign', bundle, '--sign-key', 'release.key')).toMatchObject({ status: 0 })
    expect(await report('--no-layers')).toContain('The signatures were not checked')
    expect(await report('--no-layers', '--public-key', 'other.pub')).toContain(
      'None of the 1 keys that were passed for this report signed this bundle',
    )
    expect(await report('--no-layers', '--public-key', 'release.pub')).toContain('Signed by 1 of the 1 keys')
    const statement = `${bundle}.sums`
    const text = await readFile(statement, 'utf8')
    await writeFile(statement, text.replace('# version: 1.0.0', '# version: 1.0.1'))
    expect(airgap('inspect', bundle, 'report', '--no-layers', '--public-key', 'release.pub').status).toBe(6)
    await writeFile(statement, text)
  })

  it('needs a bundle', async () => {
    await writeFile(join(folder, 'x.lock.json'), JSON.stringify(billLock))
    expect(airgap('inspect', join(folder, 'x.lock.json'), 'report')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('a report describes a bundle'),
    })
  })

  it.skipIf(!hasTool('chromium-headless-shell'))(
    'is displayed by a browser without an error (needs chromium-headless-shell)',
    async () => {
      await report()
      const ran = spawnSync(
        'chromium-headless-shell',
        [
          '--no-sandbox',
          '--disable-gpu',
          '--enable-logging=stderr',
          '--dump-dom',
          `file://${folder}/sample-2.report.html`,
        ],
        { encoding: 'utf8', timeout: 60_000 },
      )
      expect(ran.stdout).toContain('<h1>sample 1.0.0</h1>')
      expect(ran.stderr).not.toMatch(/CONSOLE|Content Security Policy/)
    },
  )
})
