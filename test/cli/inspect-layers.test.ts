import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formatLock } from '../../src/lock/lock.ts'
import { dpkgStatus, statusPath, tarOf } from '../layers/support.ts'
import { imageBundle } from './image-bundle.ts'

const program = resolve(import.meta.dirname, '../../src/cli/airgap.ts')
let folder: string
let bundle: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-layers-'))
  bundle = join(folder, 'sample.tar')
  const lower = gzipSync(tarOf([{ path: statusPath, text: dpkgStatus('bash', 'perl') }]))
  const upper = tarOf([
    { path: statusPath, text: dpkgStatus('bash') },
    { path: 'etc/os-release', text: 'ID=debian\nVERSION_ID="12"\n' },
    { path: 'app.jar', text: 'no archive' },
  ])
  const lock = await imageBundle(bundle, { name: 'docker.io/library/app:1', layers: [lower, upper] })
  await writeFile(join(folder, 'sample.lock.json'), formatLock(lock))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function inspect(...args: string[]) {
  return spawnSync(process.execPath, [program, 'inspect', ...args, '--quiet'], { encoding: 'utf8' })
}

describe('airgap inspect, packages inside images', () => {
  it('lists them image by image, with what was not read', () => {
    expect(inspect(bundle, 'layers').stdout).toBe(
      [
        'docker.io/library/app:1  (linux/amd64, debian, 1 packages)',
        '  not read: app.jar: not a zip archive: its end record is missing',
        '  deb       bash  1.0-1  amd64',
        '',
      ].join('\n'),
    )
    expect(JSON.parse(inspect(bundle, 'layers', '-o', 'json').stdout)[0].packages).toHaveLength(1)
    expect(inspect(bundle, 'layers', '--match', 'nothing').stdout).toBe('no images\n')
  })

  it('are in the bills of materials with --layers only, which are reproducible', () => {
    for (const [section, purl] of [
      ['sbom', '"purl": "pkg:deb/debian/bash@1.0-1?arch=amd64&distro=debian-12"'],
      ['spdx', '"referenceLocator": "pkg:deb/debian/bash@1.0-1?arch=amd64&distro=debian-12"'],
    ] as const) {
      expect(inspect(bundle, section).stdout).not.toContain('pkg:deb')
      const { stdout } = inspect(bundle, section, '--layers')
      expect(stdout).toContain(purl)
      expect(inspect(bundle, section, '--layers').stdout).toBe(stdout)
    }
  })

  it('need a bundle', () => {
    const { status, stderr } = inspect(join(folder, 'sample.lock.json'), 'sbom', '--layers')
    expect([status, stderr]).toEqual([2, expect.stringContaining('a lockfile has no layers')])
  })
})
