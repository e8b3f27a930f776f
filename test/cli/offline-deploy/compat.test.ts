import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadCompatibility } from '../../../src/compat/load.ts'
import { digestOf } from '../../../src/core/digest.ts'
import { formatLock } from '../../../src/lock/lock.ts'
import { sampleTree, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, run, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

const rules = await loadCompatibility(resolve(import.meta.dirname, '../../../manifests/compatibility.yaml'))
const bundled = {
  kubernetes: 'v1.28.6',
  'gpu-operator': 'v24.9.2',
  'nvidia-driver': '535.161.08',
  containerd: '1.7.13',
}

/**
 * A site whose kubectl and helm print what the real ones print of a cluster (no API server can be had here): `kubernetes` of the API
 * server and of the nodes, the chart of a release.
 */
async function siteRunning(
  versions: { kubernetes?: string; operator?: string; driver?: string },
  carried: Record<string, string> = bundled,
) {
  const site = await testSite()
  const lock = {
    ...{ lockVersion: 1 as const, name: 'sample', version: '1.0.0', platforms: ['linux/amd64'] },
    ...{ inputs: digestOf('x'), collisions: {}, runtime: [], items: {} },
    compatibility: { rules, versions: carried },
  }
  await writeBundle(site.bundle, sampleTree('lock', { 'lock.json': formatLock(lock) }, 'bundle'))
  const { kubernetes, operator, driver } = versions
  const nodes = ['1.7.13', '1.7.9'].map(version => ({
    metadata: { name: version },
    status: { nodeInfo: { kubeletVersion: 'v1.28.6', containerRuntimeVersion: `containerd://${version}` } },
  }))
  const script = async (name: string, text: string) => {
    const path = join(site.work, name)
    await writeFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
    return path
  }
  const print = (answer: unknown) => `cat <<'END'\n${JSON.stringify(answer)}\nEND`
  const kubectl =
    kubernetes === undefined
      ? 'echo "The connection to the server 10.0.0.1:6443 was refused" >&2; exit 1'
      : `case $1 in version) ${print({ serverVersion: { gitVersion: kubernetes } })}\n;; get) ${print({ items: nodes })}\n;; esac`
  const releases = operator === undefined ? [] : [{ name: 'gpu-operator', chart: `gpu-operator-${operator}` }]
  const root = join(site.work, 'root')
  await mkdir(join(root, 'sys/module/nvidia'), { recursive: true })
  if (driver !== undefined) await writeFile(join(root, 'sys/module/nvidia/version'), `${driver}\n`)
  const tools = [
    '--kubectl',
    await script('kubectl', kubectl),
    '--helm',
    await script('helm', print(releases)),
  ]
  const compat = (...more: string[]) =>
    run(['compat', '--bundle', site.bundle, '--root', root, ...tools, ...more])
  return Object.assign(compat, { place: { site, path: site.work } })
}

describe('offline-deploy compat', () => {
  it('a machine on which nothing runs yet: the rules hold for the bundle, and what could not be queried is listed', async () => {
    const compat = await siteRunning({})
    const ran = await compat()
    expect(ran).toMatchObject({ code: 0 })
    expect(ran.stdout).toContain(
      'unknown: the API server: The connection to the server 10.0.0.1:6443 was refused',
    )
    expect(ran.stdout).toMatch(/^GPU Operator +- +v24\.9\.2$/m)
  })

  it('what runs is found, and an upgrade has its order', async () => {
    const compat = await siteRunning({ kubernetes: 'v1.27.10', operator: 'v24.6.0', driver: '535.129.03' })
    const ran = await compat('-o', 'json')
    expect(ran.code).toBe(0)
    const { running, upgrade } = JSON.parse(ran.stdout)
    expect(running).toEqual({
      'nvidia-driver': '535.129.03',
      kubernetes: 'v1.27.10',
      containerd: '1.7.9',
      'gpu-operator': 'v24.6.0',
    })
    expect(upgrade.steps.map(({ component }: { component: string }) => component).slice(0, 1)).toEqual([
      'kubernetes',
    ])
    expect(upgrade.backupFirst).toBe(true)
  })

  it.each([
    [
      'two minor versions at once',
      { kubernetes: 'v1.26.5' },
      /minor versions must not be skipped: upgrade to 1\.27 first/,
    ],
    ['an older one', { kubernetes: 'v1.29.1' }, /this is a downgrade/],
  ])('refuses %s', async (_what, versions, why) => {
    const ran = await (await siteRunning(versions))()
    expect(ran.code).toBe(4)
    expect(ran.stdout).toMatch(why)
    expect(ran.stderr).toContain('INCOMPATIBLE')
  })

  it('refuses an operator that needs a newer Kubernetes than the one that stays', async () => {
    const compat = await siteRunning({ kubernetes: 'v1.28.6' }, { 'gpu-operator': 'v25.3.0' })
    const ran = await compat()
    expect(ran.code).toBe(4)
    expect(ran.stdout).toContain('GPU Operator v25.3 and later need Kubernetes 1.29')
    expect(ran.stderr).toContain('gpu-operator-25.3-kubernetes')
  })

  it('apply and plan refuse the same before they change anything', async () => {
    const compat = await siteRunning({ kubernetes: 'v1.26.5' })
    const { site, path } = compat.place
    for (const command of ['plan', 'apply']) {
      const ran = await run([command, ...site.options], { env: { PATH: `${path}:/usr/bin:/bin` } })
      expect(ran).toMatchObject({ code: 4, stderr: expect.stringContaining('INCOMPATIBLE') })
    }
    await expect(stat(site.site)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('reports a missing kubectl, and a bundle without rules', async () => {
    const compat = await siteRunning({ kubernetes: 'v1.28.6' })
    expect((await compat('--kubectl', '/nowhere/kubectl')).stdout).toContain('/nowhere/kubectl was not found')
    const site = await testSite()
    const lock = {
      lockVersion: 1,
      name: 's',
      version: '1',
      platforms: [],
      inputs: digestOf('x'),
      collisions: {},
      runtime: [],
      items: {},
    }
    await writeBundle(site.bundle, sampleTree('lock', { 'lock.json': JSON.stringify(lock) }, 'bundle'))
    expect(await run(['compat', '--bundle', site.bundle])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('the bundle carries no compatibility rules'),
    })
  })
})
