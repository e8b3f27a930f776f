import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { appendFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  sampleImage,
  sampleStack,
  sampleTree,
  sampleValues,
  writeBundle,
} from '../../site/support/sample-site.ts'
import { buildProgram, fetchedKubeconfig, run, sampleKubeconfig, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

const ready = [{ type: 'Ready', status: 'True' }]
const node = (name: string, conditions = ready) => ({
  metadata: { name },
  status: { conditions, allocatable: {}, nodeInfo: { kubeletVersion: 'v1.28.6' } },
})
const pod = (image: string) => ({
  metadata: { name: 'core', namespace: 'harbor' },
  spec: { containers: [{ name: 'main', image }] },
  status: { phase: 'Running', conditions: ready },
})
const release = {
  name: 'harbor',
  namespace: 'harbor',
  revision: '1',
  status: 'deployed',
  chart: 'harbor-1.14.2',
}

/** kubectl and helm where the site keeps its own; they print what the real ones print of a cluster. */
async function withCluster(site: TestSite, answers: { nodes?: object[]; pods?: object[] } | 'silent') {
  const bin = join(site.site, 'tools', 'bin')
  await mkdir(bin, { recursive: true })
  await mkdir(join(site.site, 'inventory', 'artifacts'), { recursive: true })
  await writeFile(fetchedKubeconfig(site), sampleKubeconfig({ token: 'a-token' }))
  const print = (value: unknown) => `cat <<'END'\n${JSON.stringify(value)}\nEND`
  const { nodes = [node('one')], pods = [] } = answers === 'silent' ? {} : answers
  const kubectl =
    answers === 'silent'
      ? 'exec sleep 60'
      : `case $2 in nodes) ${print({ items: nodes })}\n;; pods) ${print({ items: pods })}\n;; *) exit 1;; esac`
  const helm = answers === 'silent' ? 'exec sleep 60' : print([release])
  await writeFile(join(bin, 'kubectl'), `#!/bin/sh\n${kubectl}\n`, { mode: 0o755 })
  await writeFile(join(bin, 'helm'), `#!/bin/sh\n${helm}\n`, { mode: 0o755 })
}

async function deployed(): Promise<TestSite> {
  const site = await testSite()
  await writeBundle(site.bundle, sampleStack())
  expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
  return site
}

describe('offline-deploy verify --cluster', () => {
  it('good where every image is of the site, by its registry or by a name of the bundle', async () => {
    const site = await deployed()
    const pods = [
      pod(`${site.registry}/library/busybox:1.36`),
      pod('nvcr.io/nvidia/cuda:12'),
      pod('busybox:1.36'),
    ]
    await withCluster(site, { pods })
    const ran = await run(['verify', '--cluster', '--site', site.site, '-o', 'json'])
    expect(ran).toMatchObject({ code: 0 })
    expect(JSON.parse(ran.stdout)).toEqual({ site: site.site, good: true, findings: [] })
  })

  it('everything that is wrong at once, with exit 8', async () => {
    const site = await deployed()
    await withCluster(site, {
      nodes: [node('one', [{ type: 'Ready', status: 'False' }])],
      pods: [pod('busybox:latest'), pod('busybox'), pod('quay.io/library/busybox:1.36')],
    })
    const ran = await run(['verify', '--cluster', '--site', site.site])
    expect(ran.code).toBe(8)
    expect(ran.stdout).toContain('4 errors')
    expect(ran.stderr).toContain('error STEP_FAILED')
    for (const text of [
      'node one is not ready',
      'busybox:latest does not come',
      'quay.io/library/busybox:1.36 does not come',
    ])
      expect(ran.stderr).toContain(text)
  })

  it('refuses where there is nothing to ask', async () => {
    const site = await testSite()
    const verify = (...more: string[]) => run(['verify', '--cluster', '--site', site.site, ...more])
    expect(await verify()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('nothing was deployed here'),
    })
    await writeBundle(site.bundle, sampleStack())
    await run(['apply', '--yes', ...site.options])
    expect(await verify()).toMatchObject({ code: 2, stderr: expect.stringContaining('no kubeconfig') })
    expect(await verify(site.bundle)).toMatchObject({ code: 2, stderr: expect.stringContaining('USAGE') })
  })
})

describe('offline-deploy status', () => {
  it('nodes and releases, as the cluster says', async () => {
    const site = await deployed()
    await withCluster(site, { nodes: [node('one'), node('two', [])] })
    const { stdout } = await run(['status', '--site', site.site, '-o', 'json'])
    expect(JSON.parse(stdout).cluster).toEqual({
      answers: true,
      nodes: [
        { name: 'one', ready: true, version: 'v1.28.6' },
        { name: 'two', ready: false, version: 'v1.28.6' },
      ],
      releases: [{ name: 'harbor', namespace: 'harbor', status: 'deployed', chart: 'harbor-1.14.2' }],
    })
    const text = await run(['status', '--site', site.site, '--exit-code'])
    expect(text.code).toBe(0)
    expect(text.stdout).toMatch(/^cluster +1 of 2 nodes ready$/m)
    expect(text.stdout).toMatch(/^release +harbor\/harbor +deployed +harbor-1\.14\.2$/m)
  })

  it('a cluster that says nothing is not waited for long', { timeout: 30_000 }, async () => {
    const site = await deployed()
    expect(JSON.parse((await run(['status', '--site', site.site, '-o', 'json'])).stdout).cluster).toBeNull()
    await withCluster(site, 'silent')
    const started = performance.now()
    const ran = await run(['status', '--site', site.site])
    expect(performance.now() - started).toBeLessThan(15_000)
    expect(ran).toMatchObject({ code: 0 })
    expect(ran.stdout).toMatch(/^cluster: does not answer$/m)
  })
})

describe('the kubeconfig that kubespray fetched from a node', () => {
  const helm = spawnSync('sh', ['-c', 'command -v helm'], { encoding: 'utf8' }).stdout.trim()
  const hostile = (trap: string) => ({
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: '/bin/sh',
      args: ['-c', `id > ${trap}; exit 1`],
      interactiveMode: 'Never',
    },
  })
  const commands = (site: TestSite) => [
    ['status', '--site', site.site],
    ['verify', '--cluster', '--site', site.site],
    ['support-bundle', '--site', site.site, '--out', join(site.work, 'support.tar.gz')],
  ]

  it('is read, and kubectl and helm get a private file that is removed: nothing is written to the site', async () => {
    const site = await deployed()
    await withCluster(site, {})
    const seen = join(site.work, 'seen')
    const program = join(site.site, 'tools', 'bin', 'kubectl')
    const text = await readFile(program, 'utf8')
    await writeFile(program, text.replace('#!/bin/sh\n', `#!/bin/sh\necho "$KUBECONFIG" >> '${seen}'\n`))
    for (const command of commands(site)) expect(await run(command)).toMatchObject({ code: 0 })
    const own = join(site.site, 'kubeconfig')
    const used = new Set((await readFile(seen, 'utf8')).trim().split('\n'))
    expect(used.size).toBe(commands(site).length + 1)
    for (const path of used) {
      expect(path).not.toContain(site.site)
      expect(existsSync(path)).toBe(false)
    }
    expect(existsSync(own)).toBe(false)

    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    expect((await stat(own)).mode & 0o777).toBe(0o600)
    expect(JSON.parse(await readFile(own, 'utf8')).users[0].user).toEqual({ token: 'a-token' })
    await rm(seen)
    for (const command of commands(site)) expect(await run(command)).toMatchObject({ code: 0 })
    expect(new Set((await readFile(seen, 'utf8')).trim().split('\n'))).toEqual(new Set([own]))
  })

  it.skipIf(helm === '')('fault 113: runs no program of the node (needs helm)', async () => {
    const site = await deployed()
    await withCluster(site, {})
    const bin = join(site.site, 'tools', 'bin')
    for (const name of ['kubectl', 'helm']) {
      await writeFile(join(bin, name), `#!/bin/sh\nexec '${helm}' "$@"\n`)
    }
    const trap = join(site.work, 'trap')
    // helm reads the certificate first
    const text = sampleKubeconfig(hostile(trap), 'https://127.0.0.1:1').replace(
      /,"certificate-authority-data":"[^"]*"/,
      '',
    )
    await writeFile(fetchedKubeconfig(site), text)
    // what helm does with such a file by itself
    spawnSync(helm, ['list', '--kubeconfig', fetchedKubeconfig(site)], { env: { HOME: site.work } })
    expect(existsSync(trap)).toBe(true)
    await rm(trap)
    for (const command of commands(site)) {
      const ran = await run(command)
      const text = expect.stringContaining('unknown key "exec"')
      if (command[0] === 'status') expect(ran).toMatchObject({ code: 0, stdout: text })
      if (command[0] === 'verify') expect(ran).toMatchObject({ code: 8, stderr: text })
      expect([command[0], existsSync(trap)]).toEqual([command[0], false])
    }
    expect(existsSync(join(site.site, 'kubeconfig'))).toBe(false)
  })

  it('must name a server of the site, where there is a site.yaml', async () => {
    const site = await deployed()
    await withCluster(site, {})
    await writeFile(
      join(site.site, 'site.yaml'),
      'apiVersion: airgap-site/v1\nnodes: [{name: one, address: 10.0.0.1, roles: [control-plane, worker]}]\n',
    )
    const verify = () => run(['verify', '--cluster', '--site', site.site])
    expect(await verify()).toMatchObject({ code: 0 })
    await writeFile(fetchedKubeconfig(site), sampleKubeconfig({ token: 'a-token' }, 'https://10.0.0.9:6443'))
    expect(await verify()).toMatchObject({
      code: 8,
      stderr: expect.stringMatching(/server outside this site: 10\.0\.0\.9[\s\S]*loadbalancer_apiserver/),
    })
    const status = (...more: string[]) => run(['status', '--site', site.site, ...more])
    expect(await status()).toMatchObject({ code: 0, stdout: expect.stringContaining('site.yaml changed') })
    expect(JSON.parse((await status('-o', 'json')).stdout).cluster).toMatchObject({
      answers: false,
      refused: { code: 'STEP_FAILED' },
    })
    expect(await status('--exit-code')).toMatchObject({ code: 8 })
  })
})

describe('a site.yaml that was edited after the cluster was installed', () => {
  it('leaves the cluster in use, although its first control-plane node has another address now', async () => {
    const site = await deployed()
    await withCluster(site, {})
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    await writeFile(
      join(site.site, 'site.yaml'),
      'apiVersion: airgap-site/v1\nnodes: [{name: new, address: 10.0.0.8, roles: [control-plane, worker]}]\n',
    )
    expect(await run(['verify', '--cluster', '--site', site.site])).toMatchObject({ code: 0 })
    const { stdout } = await run(['status', '--site', site.site, '-o', 'json'])
    expect(JSON.parse(stdout).cluster).toMatchObject({ answers: true })
    expect(await run(['plan', ...site.options])).toMatchObject({ code: 0 })
  })
})

describe('the step', () => {
  it('stands at the end, after the applications', { timeout: 30_000 }, async () => {
    const site = await testSite()
    const install = {
      apiVersion: 'airgap-install/v1',
      applications: { helmfile: 'helmfile.yaml', order: ['one', 'two'] },
    }
    const tree = {
      'environments/prod/values.yaml': sampleValues,
      'install.yaml': JSON.stringify(install),
      'helmfile.yaml': 'releases: []\n',
    }
    await writeBundle(site.bundle, [
      sampleImage('nvcr.io/nvidia/cuda:12'),
      ...sampleTree('tree/deploy', tree),
    ])
    await mkdir(site.site)
    await writeFile(
      join(site.site, 'site.yaml'),
      'apiVersion: airgap-site/v1\nnodes: [{name: one, address: 10.0.0.1, roles: [control-plane, worker]}]\n',
    )
    const ran = await run(['plan', ...site.options, '-o', 'json'])
    expect(ran).toMatchObject({ code: 0 })
    const ids = JSON.parse(ran.stdout).steps.map((step: { id: string }) => step.id)
    expect(ids.slice(-3)).toEqual(['app-one', 'app-two', 'verification'])
    // done before, and now nobody answers: status says so, and waits for none of them
    await run(['apply', '--yes', ...site.options, '--only', 'lay-down'])
    const { steps } = JSON.parse((await run(['plan', ...site.options, '-o', 'json'])).stdout)
    const done = (steps as { id: string; key: string }[])
      .filter(({ id }) => id.startsWith('app-'))
      .map(({ id, key }) => `${JSON.stringify({ step: id, key, event: 'done', at: '' })}\n`)
    await appendFile(join(site.site, 'journal.jsonl'), done.join(''))
    await withCluster(site, 'silent')
    const started = performance.now()
    const status = await run(['status', '--site', site.site])
    expect(performance.now() - started).toBeLessThan(15_000)
    expect(status.stdout).toMatch(/^pending +app-two: changed since$/m)
  })
})
