import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { formatLock } from '../../src/lock/lock.ts'
import { sampleLock } from '../kinds/support/sample-lock.ts'

const program = resolve(import.meta.dirname, '../../src/cli/airgap.ts')
let [folder, old, fresh] = ['', '', '']
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-diff-'))
  ;[old, fresh] = [join(folder, 'old.lock.json'), join(folder, 'new.lock.json')]
  await writeFile(old, formatLock(sampleLock()))
  const after = sampleLock({
    curl: '7.81.0-1ubuntu1.16',
    nginx: '1.25.4',
    harbor: '1.14.1',
    jinja2: '3.1.4',
  })
  await writeFile(fresh, formatLock({ ...after, version: '1.1.0' }))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function diff(...args: string[]) {
  return spawnSync(process.execPath, [program, 'diff', ...args], { encoding: 'utf8' })
}

describe('airgap diff', () => {
  it('shows versions, digests, sizes, sources and kept dependencies of every change', () => {
    expect(diff(old, fresh).stdout).toMatchInlineSnapshot(`
      "stack 1.0.0 → stack 1.1.0: 5 changed
      67.3 MiB new, 67.3 MiB no longer carried, 114.1 MiB in both

      images: 1 changed, 1 unchanged
      ~ docker.io/library/nginx  1.25.3 → 1.25.4
          sha256:3121c4edf3a6 → 02ad611af1f2  66.8 MiB (+4.0 KiB)
          from docker.io/library/nginx
          vouched for by docker.io (its tag when locked)

      charts: 1 changed
      ~ harbor  1.14.0 → 1.14.1
          sha256:28af3a93e252 → e73e4f83a13e  48.8 KiB (same size)
          from https://charts.example/harbor-1.14.1.tgz
          vouched for by index of charts.example

      debs/ubuntu-22.04: 2 changed, 2 unchanged
      ~ curl:amd64  7.81.0-1ubuntu1.15 → 7.81.0-1ubuntu1.16
          sha256:9ece3fdfedb1 → b0901281625f  185.5 KiB (same size)
          from http://archive.ubuntu.com/ubuntu
          vouched for by OpenPGP key F6ECB3762474EDA9D21B7022871920D1991BC93C
          and 1 of its dependencies changed with it, 2 unchanged
      ~ libcurl4:amd64  7.81.0-1ubuntu1.15 → 7.81.0-1ubuntu1.16
          sha256:861a3574644c → 6144b204f384  185.5 KiB (same size)  required by curl
          and 2 of its dependencies unchanged

      pypi (tools): 1 changed, 1 unchanged
      ~ jinja2  3.1.2 → 3.1.4
          sha256:3f550cafdf6f → afe668a974d8  129.9 KiB (same size)
          from https://files.example/
          vouched for by the package index
          and 1 of its dependencies unchanged
      "
    `)
  })

  it('has the full digests in JSON', () => {
    const { changes } = JSON.parse(diff(old, fresh, '-o', 'json').stdout)
    expect(changes[0]).toMatchObject({
      kind: 'image',
      name: 'docker.io/library/nginx',
      before: { digest: digestOf('manifest of docker.io/library/nginx:1.25.3') },
      after: { digest: digestOf('manifest of docker.io/library/nginx:1.25.4'), platforms: ['linux/amd64'] },
      sizeDifference: 4096,
    })
  })

  it('exits with 3 on request if something differs', () => {
    expect(diff(old, fresh, '--exit-code').status).toBe(3)
    expect(diff(old, old, '--exit-code')).toMatchObject({
      status: 0,
      stdout: 'stack 1.0.0 → stack 1.0.0: the same content\n',
    })
  })
})
