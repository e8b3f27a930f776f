import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { mediaTypes } from '../../src/core/media-types.ts'
import { formatLock } from '../../src/lock/lock.ts'
import type { Lock } from '../../src/lock/schema.ts'

const program = resolve(import.meta.dirname, '../../src/cli/airgap.ts')
const digest = digestOf('x')
const hex = digest.slice('sha256:'.length)
const manifest = { mediaType: mediaTypes.ociManifest, digest, size: 2 }

function deb(name: string, because?: string) {
  const more = because === undefined ? { requested: true as const } : { because }
  const place = {
    architecture: 'amd64',
    source: 0,
    component: 'main',
    filename: `pool/${name}.deb`,
    stanza: [],
  }
  return { name, version: '1:1.6-2+deb12u2', ...place, size: 2048, sha256: hex, ...more }
}

function suite(name: string, archive: string) {
  const packages = [deb('jq'), deb('libjq1', 'jq')]
  const sources = [{ archive, suite: 'stable', components: ['main'], release: {} }]
  return { name, architectures: ['amd64'], sources, packages }
}

const lock: Lock = {
  lockVersion: 1,
  name: 'sample',
  version: '1.0.0',
  platforms: ['linux/amd64'],
  inputs: digest,
  collisions: {},
  runtime: [{ path: 'offline-deploy/node', mode: 0o755, digest, size: 1 }],
  items: {
    image: [
      {
        name: 'docker.io/library/busybox:1.36',
        from: 'docker.io/library/busybox',
        digest,
        platforms: ['linux/amd64'],
        manifests: [manifest],
        blobs: [],
      },
    ],
    chart: [
      {
        name: 'hello-1.0.0',
        chart: 'hello',
        version: '1.0.0',
        origin: { type: 'http', url: 'https://charts.example/a/hello-1.0.0.tgz?key=secret' },
        metadata: {},
        layers: [{ mediaType: mediaTypes.helmChart, digest, size: 3 }],
      },
    ],
    file: [
      { name: 'a.example/tool', url: 'https://a.example/tool?key=secret', digest, size: 3, executable: true },
    ],
    deb: [
      suite('debian-12', 'http://deb.debian.org/debian'),
      suite('jammy', 'http://archive.ubuntu.com/ubuntu'),
    ],
    rpm: [
      {
        name: 'el9',
        architectures: ['x86_64'],
        streams: [],
        repositories: [
          {
            id: 'baseos',
            baseurl: 'http://el.example',
            keys: ['a key'],
            priority: 99,
            modules: [],
            groups: [],
          },
        ],
        packages: [
          {
            name: 'kernel-devel',
            epoch: '0',
            version: '5.14.0',
            release: '427.el9',
            architecture: 'x86_64',
            repository: 'baseos',
            location: 'Packages/k.rpm',
            size: 4,
            sha256: hex,
            requested: true,
            signedBy: 'AB',
            primary: '<package/>',
            filelists: '<package/>',
          },
        ],
      },
    ],
    wheel: [
      {
        name: 'tools',
        distributions: [
          {
            project: 'jinja2',
            version: '3.1.2',
            filename: 'jinja2-3.1.2-py3-none-any.whl',
            url: 'https://files.example/jinja2-3.1.2-py3-none-any.whl',
            size: 5,
            sha256: hex,
            requested: true,
            targets: ['cp311-manylinux_2_28_x86_64'],
          },
        ],
      },
    ],
  },
}

let path: string
beforeAll(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'airgap-inspect-')), 'sample.lock.json')
  await writeFile(path, formatLock(lock))
})
afterAll(() => rm(resolve(path, '..'), { recursive: true, force: true }))

function inspect(...args: string[]) {
  return spawnSync(process.execPath, [program, 'inspect', path, ...args], { encoding: 'utf8' })
}

describe('airgap inspect', () => {
  it('lists packages in columns, with their version once', () => {
    const { stdout } = inspect('packages')
    expect(stdout.split('\n')[1]).toMatch(
      /^debian-12\/libjq1:amd64 +1:1\.6-2\+deb12u2 +2\.0 KiB {2}http:\/\/deb\.debian\.org\/debian$/,
    )
  })

  it('reports a filter that matches nothing', () => {
    expect(inspect('packages', '--match', 'vim')).toMatchObject({
      status: 0,
      stdout: 'no packages match "vim"\n',
    })
  })

  it('why shows the chain in every repository that has the package', () => {
    const { stdout } = inspect('why', 'libjq1')
    const chain = (archive: string) =>
      `  jq 1:1.6-2+deb12u2 amd64  (${archive} stable)\n    libjq1 1:1.6-2+deb12u2 amd64  (${archive} stable)\n`
    expect(stdout).toBe(
      `debs/debian-12: requested by the manifest\n${chain('http://deb.debian.org/debian')}debs/jammy: requested by the manifest\n${chain('http://archive.ubuntu.com/ubuntu')}`,
    )
  })

  it('why also knows RPM and Python packages', () => {
    expect(inspect('why', 'kernel-devel').stdout).toBe(
      'rpms/el9: requested by the manifest\n  kernel-devel 5.14.0-427.el9 x86_64  (baseos)\n',
    )
    expect(inspect('why', 'jinja2').stdout).toBe(
      'pypi (tools): requested by the manifest\n  jinja2 3.1.2  (jinja2-3.1.2-py3-none-any.whl)\n',
    )
  })

  it('why suggests names that contain the given one', () => {
    const { status, stderr } = inspect('why', 'busybox')
    expect([status, stderr]).toEqual([2, expect.stringContaining('docker.io/library/busybox:1.36')])
    expect(inspect('why').stderr).toContain('inspect BUNDLE why NAME')
  })

  it('sbom is reproducible CycloneDX, with package URLs', () => {
    const { stdout } = inspect('sbom')
    const bom = JSON.parse(stdout)
    expect(bom).toMatchObject({
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      metadata: { component: { name: 'sample', version: '1.0.0' } },
    })
    const rows: { purl?: string; 'bom-ref': string; hashes: unknown }[] = bom.components
    expect(rows.map(row => row.purl)).toEqual([
      `pkg:oci/busybox@sha256:${hex}?arch=amd64&repository_url=docker.io%2Flibrary%2Fbusybox&tag=1.36`,
      'pkg:helm/hello@1.0.0?repository_url=https%3A%2F%2Fcharts.example%2Fa%2F',
      'pkg:deb/debian/jq@1:1.6-2+deb12u2?arch=amd64&distro=debian-12',
      'pkg:deb/debian/libjq1@1:1.6-2+deb12u2?arch=amd64&distro=debian-12',
      'pkg:deb/ubuntu/jq@1:1.6-2+deb12u2?arch=amd64&distro=jammy',
      'pkg:deb/ubuntu/libjq1@1:1.6-2+deb12u2?arch=amd64&distro=jammy',
      'pkg:rpm/el/kernel-devel@5.14.0-427.el9?arch=x86_64&distro=el9',
      'pkg:pypi/jinja2@3.1.2?file_name=jinja2-3.1.2-py3-none-any.whl',
      expect.stringMatching(/^pkg:generic\/tool\?checksum=sha256%3A[0-9a-f]{64}&download_url=https/),
      undefined,
    ])
    expect(new Set(rows.map(row => row['bom-ref'])).size).toBe(rows.length)
    for (const row of rows) expect(row.hashes).toEqual([{ alg: 'SHA-256', content: hex }])
    expect(stdout).not.toContain('secret')
    expect(inspect('sbom').stdout).toBe(stdout)
    expect(JSON.parse(inspect('sbom', '-o', 'json').stdout)).toEqual(bom)
  })
})
