import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ScanResult } from '../../src/scan/finding.ts'
import { imageBundle } from '../cli/image-bundle.ts'
import { billLock } from '../kinds/support/bill-lock.ts'
import { dpkgStatus, statusPath, tarOf } from '../layers/support.ts'
import { makeStandIn, runsOf } from './stand-in.ts'

const program = resolve(import.meta.dirname, '../../src/cli/airgap.ts')
let folder: string
let bundle: string
let database: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-scan-test-'))
  bundle = join(folder, 'sample.tar')
  database = join(folder, 'database')
  await mkdir(database)
  await mkdir(join(folder, 'empty'))
  await mkdir(join(folder, 'bin'))
  await makeStandIn(join(folder, 'bin'), 'grype')
  await makeStandIn(join(folder, 'bin'), 'trivy')
  const layer = tarOf([
    { path: statusPath, text: dpkgStatus('openssl', 'bash', 'zlib') },
    { path: 'etc/os-release', text: 'ID=debian\nVERSION_ID="12"\n' },
  ])
  const { deb } = billLock.items
  await imageBundle(bundle, {
    name: 'docker.io/library/app:1',
    layers: [layer],
    more: { items: { deb: deb! } },
  })
})
beforeEach(async () => {
  const vulnerable = {
    openssl: { id: 'CVE-2024-1', severity: 'High', fixed: '1.1' },
    zlib: { id: 'GHSA-aaaa', alias: 'CVE-2023-2', severity: 'Critical' },
    jq: { id: 'CVE-2022-3', severity: 'Low' },
  }
  await rm(join(database, 'runs'), { force: true })
  await writeFile(join(database, 'vulnerable.json'), JSON.stringify(vulnerable))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function scan(...args: string[]) {
  return spawnSync(process.execPath, [program, 'scan', bundle, '--quiet', ...args], {
    encoding: 'utf8',
    cwd: folder,
    env: { ...process.env, PATH: join(folder, 'bin'), GRYPE_DB_AUTO_UPDATE: 'true' },
  })
}

const resultOf = ({ stdout }: { stdout: string }): ScanResult => JSON.parse(stdout)

async function vexFile(name: string, content: unknown): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, JSON.stringify(content))
  return path
}

const openVex = (statement: object) => ({
  '@context': 'https://openvex.dev/ns/v0.2.0',
  '@id': 'https://example.org/vex-1',
  author: 'A',
  timestamp: '2026-01-01T00:00:00Z',
  version: 1,
  statements: [statement],
})

describe.each(['grype', 'trivy'] as const)('airgap scan with a stand-in of the test for %s', scanner => {
  it('finds what is in images and what the bundle carries, and never lets the scanner download', async () => {
    const { status, stdout, stderr } = scan('--db', database, '--scanner', scanner, '-o', 'json')
    expect([status, stderr]).toEqual([0, ''])
    const result = resultOf({ stdout })
    expect(result.scanner.name).toBe(scanner)
    expect(result.findings).toMatchObject([
      { severity: 'critical', target: 'docker.io/library/app:1', platform: 'linux/amd64', package: 'zlib' },
      { id: 'CVE-2024-1', severity: 'high', package: 'openssl', fixedIn: ['1.1'] },
      { id: 'CVE-2022-3', severity: 'low', target: 'debs/ubuntu-22.04' },
    ])
    expect(result.targets).toEqual([
      { name: 'docker.io/library/app:1', platform: 'linux/amd64', packages: 3, notRead: 0 },
      { name: 'debs/ubuntu-22.04', packages: 3, notRead: 0 },
    ])
    for (const { env } of await runsOf(database))
      expect(env).toMatchObject(
        scanner === 'grype'
          ? { GRYPE_DB_AUTO_UPDATE: 'false', GRYPE_CHECK_FOR_APP_UPDATE: 'false' }
          : { TRIVY_SKIP_DB_UPDATE: 'true', TRIVY_OFFLINE_SCAN: 'true' },
      )
    const [first] = await runsOf(database)
    expect(first!.names).toContain('debian')
  })

  it('without its database: fails with what to do', () => {
    const { status, stderr } = scan('--db', join(folder, 'empty'), '--scanner', scanner)
    expect(status).toBe(7)
    expect(stderr).toContain(
      `${scanner} failed (exit 1): failed to load vulnerability db: database does not exist`,
    )
    expect(stderr).toContain('--db')
  })
})

describe('airgap scan', () => {
  it('exits with 3 for findings at the limit or above, and prints the result all the same', () => {
    expect(scan('--db', database, '--fail-on', 'high')).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('2 findings are of severity high or graver'),
      stdout: expect.stringContaining('critical    GHSA-aaaa         zlib 1.0-1'),
    })
    expect(scan('--db', database, '--fail-on', 'critical').status).toBe(3)
    expect(scan('--db', database).status).toBe(0)
  })

  it('does not count what OpenVEX says is not affected, by a package or by an image', async () => {
    const byPackage = await vexFile(
      'a.json',
      openVex({
        vulnerability: { name: 'CVE-2023-2' },
        products: [{ '@id': 'pkg:deb/debian/zlib' }],
        status: 'not_affected',
        justification: 'vulnerable_code_not_in_execute_path',
      }),
    )
    const byImage = await vexFile(
      'b.json',
      openVex({
        vulnerability: 'CVE-2024-1',
        products: [
          {
            '@id': 'pkg:oci/app?repository_url=docker.io%2Flibrary%2Fapp',
            subcomponents: [{ '@id': 'pkg:deb/debian/openssl@1.0-1' }],
          },
        ],
        status: 'fixed',
      }),
    )
    const ran = scan(
      '--db',
      database,
      '--vex',
      byPackage,
      '--vex',
      byImage,
      '--fail-on',
      'high',
      '-o',
      'json',
    )
    expect(ran.status).toBe(0)
    expect(resultOf(ran).findings.map(one => one.vex)).toEqual([
      { status: 'not_affected', justification: 'vulnerable_code_not_in_execute_path', file: 'a.json' },
      { status: 'fixed', file: 'b.json' },
      undefined,
    ])
    expect(scan('--db', database, '--vex', byPackage).stdout).toContain(
      'VEX: not_affected (vulnerable_code_not_in_execute_path)',
    )
  })

  it('counts what VEX says of another version, another package or no product, and what is affected', async () => {
    const statement = (products: object[] | undefined, status = 'not_affected') =>
      openVex({ vulnerability: { name: 'CVE-2024-1' }, ...(products && { products }), status })
    const documents = [
      statement([{ '@id': 'pkg:deb/debian/openssl@3.0' }]),
      statement([{ '@id': 'pkg:deb/debian/bash' }]),
      statement([{ '@id': 'pkg:deb/debian/openssl?arch=arm64' }]),
      statement(undefined),
      statement([{ '@id': 'pkg:deb/debian/openssl' }], 'affected'),
    ]
    for (const [i, document] of documents.entries()) {
      const { findings } = resultOf(
        scan(
          '--db',
          database,
          '--vex',
          await vexFile(`c${i}.json`, document),
          '-o',
          'json',
          '--fail-on',
          'high',
        ),
      )
      expect(findings.filter(one => one.severity === 'high').map(one => one.vex?.status)).toEqual([
        i === 4 ? 'affected' : undefined,
      ])
    }
  })

  it('reads analyses of CycloneDX, by package URL and by BOM-Link', async () => {
    const document = {
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      vulnerabilities: [
        {
          id: 'CVE-2024-1',
          analysis: { state: 'false_positive', detail: 'not built in' },
          affects: [{ ref: 'urn:cdx:1/1#pkg%3Adeb%2Fdebian%2Fopenssl%401.0-1' }],
        },
        { id: 'GHSA-aaaa', analysis: { state: 'exploitable' }, affects: [{ ref: 'pkg:deb/debian/zlib' }] },
      ],
    }
    const { findings } = resultOf(
      scan('--db', database, '--vex', await vexFile('d.json', document), '-o', 'json'),
    )
    expect(findings.map(one => one.vex?.status)).toEqual(['affected', 'not_affected', undefined])
  })

  it.each([
    ['no.json', 'no such file', 2],
    ['text.json', 'it is not JSON', 2],
    ['other.json', 'neither OpenVEX nor CycloneDX', 2],
  ])('refuses %s as VEX', async (name, message, code) => {
    await writeFile(join(folder, 'text.json'), 'text')
    await writeFile(join(folder, 'other.json'), '{}')
    expect(scan('--db', database, '--vex', join(folder, name))).toMatchObject({
      status: code,
      stderr: expect.stringContaining(message),
    })
  })

  it('says what to do where there is no scanner, or an unknown one', () => {
    const ran = spawnSync(process.execPath, [program, 'scan', bundle, '--quiet'], {
      encoding: 'utf8',
      env: { PATH: join(folder, 'empty') },
    })
    // scripts/setup may have installed one
    if (!ran.stdout.includes('database'))
      expect([ran.status, ran.stderr]).toEqual([7, expect.stringContaining('install grype or trivy')])
    expect(scan('--scanner', '/bin/false')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('pass grype or trivy'),
    })
  })

  it('refuses an answer of another form', async () => {
    const other = join(folder, 'other-grype')
    await writeFile(
      other,
      `#!${process.execPath}\nrequire('node:fs').writeFileSync(process.argv[process.argv.indexOf('--file') + 1], '{"matches":{}}')\n`,
      { mode: 0o755 },
    )
    expect(scan('--scanner', other, '--db', database)).toMatchObject({
      status: 4,
      stderr: expect.stringContaining('another form than expected'),
    })
  })
})
