import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lockHolder } from '../../../src/core/process-lock.ts'
import { secretNames } from '../../core/support/secret-names.ts'
import { sampleImage, sampleStack, sampleValues, writeBundle } from '../../site/support/sample-site.ts'
import { buildProgram, freePort, run, start, type TestSite, testSite } from './support.ts'

let program: Awaited<ReturnType<typeof buildProgram>>
beforeAll(async () => {
  program = await buildProgram()
})
afterAll(() => program.remove())

async function deployed(): Promise<TestSite> {
  const site = await testSite()
  await writeBundle(site.bundle, sampleStack())
  expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
  return site
}

const resultsOf = (stdout: string) =>
  Object.fromEntries(
    JSON.parse(stdout).steps.map((step: { id: string; result: string }) => [step.id, step.result]),
  )
const valuesPath = (site: TestSite) => join(site.site, 'deploy/deploy/environments/prod/values.yaml')
const servers = async (site: TestSite) => (await lockHolder(join(site.site, 'serve.lock')))?.pid

describe('offline-deploy apply', () => {
  it('verifies, lays down, serves, configures and checks; rollback undoes all of it', async () => {
    const site = await deployed()
    const manifest = await fetch(`http://${site.registry}/v2/nvcr.io/nvidia/cuda/manifests/12`)
    const bytes = Buffer.from(await manifest.arrayBuffer())
    expect(manifest.headers.get('docker-content-digest')).toBe(
      `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
    )
    expect(
      (await fetch(`http://${site.registry}/v2/library/busybox/manifests/1.36?ns=docker.io`)).status,
    ).toBe(200)
    expect((await fetch(`http://${site.registry}/v2/library/busybox/manifests/1.36?ns=quay.io`)).status).toBe(
      404,
    )
    expect(await (await fetch(`${site.http}/files/get.example/tool.txt`)).text()).toBe('a tool')
    expect(await (await fetch(`${site.http}/debs/debian-12/dists/bookworm/InRelease`)).text()).toContain(
      'BEGIN PGP SIGNED MESSAGE',
    )
    expect((await fetch(`${site.http}/charts/demo-1.0.0%2Bx.tgz`)).status).toBe(200)
    expect(await readFile(valuesPath(site), 'utf8')).toBe(
      sampleValues
        .replace('registry: ""', `registry: "${site.registry}"`)
        .replace('httpServer: ""', `httpServer: "${site.http}"`),
    )
    expect(
      await readFile(join(site.nodeRoot, 'etc/containerd/certs.d/_default/hosts.toml'), 'utf8'),
    ).toContain(`server = "http://${site.registry}"`)

    const status = await run(['status', '--site', site.site, '-o', 'json'])
    expect(JSON.parse(status.stdout)).toMatchObject({ servers: { running: true, registry: site.registry } })
    expect((await run(['status', '--site', site.site, '--exit-code'])).code).toBe(0)

    expect((await run(['rollback', '--site', site.site])).code).toBe(2)
    expect(await run(['rollback', '--site', site.site, '--yes'])).toMatchObject({ code: 0 })
    expect(await readFile(valuesPath(site), 'utf8')).toBe(sampleValues)
    expect(await readdir(join(site.nodeRoot, 'etc/containerd/certs.d'))).toEqual([])
    expect(await servers(site)).toBeUndefined()
    expect((await run(['status', '--site', site.site, '--exit-code'])).code).toBe(3)
  })

  it('copies the bundle to the disk of the site, and needs the medium no more', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const asked = await run(['apply', '--copy-bundle', ...site.options])
    expect(asked).toMatchObject({ code: 2, stderr: expect.stringMatching(/would copy .* to .*bundles/) })
    expect(await readdir(site.site).catch(() => [])).not.toContain('bundles')
    expect(await run(['apply', '--yes', '--copy-bundle', ...site.options])).toMatchObject({ code: 0 })
    await rm(site.bundle)
    const manifest = await fetch(`http://${site.registry}/v2/nvcr.io/nvidia/cuda/manifests/12`)
    expect(manifest.status).toBe(200)
    expect(await run(['stop', '--site', site.site])).toMatchObject({ code: 0 })
    expect(await run(['apply', '--yes', '--site', site.site])).toMatchObject({ code: 0 })
    expect(await run(['status', '--site', site.site, '--exit-code'])).toMatchObject({ code: 0 })
  })

  it('needs --yes where nobody can answer; with nothing left to do it does not ask', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const refused = await run(['apply', ...site.options])
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('pass --yes; nothing was changed'),
    })
    expect(refused.stderr).toContain('this would run 4 of 5 steps on this site')
    await expect(stat(join(site.site, 'deploy'))).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await lockHolder(join(site.site, 'lock'))).toBeUndefined()
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    expect(await run(['apply', ...site.options])).toMatchObject({ code: 0 })
  })

  it('whose medium was removed is shown, supported, stopped and rolled back', async () => {
    const site = await deployed()
    await rename(site.bundle, `${site.bundle}.away`)
    const here = ['--site', site.site]
    const status = await run(['status', ...here])
    expect(status).toMatchObject({ code: 0 })
    expect(status.stdout).toMatch(/^bundle {3}sample 1\.0\.0 {2}.*\n {2}cannot be read: .+$/m)
    expect(status.stdout).toMatch(/^unknown {2}configure: done, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/m)
    expect(JSON.parse((await run(['status', ...here, '-o', 'json'])).stdout)).toMatchObject({
      bundles: [{ name: 'sample', unreadable: { code: 'FILE_NOT_FOUND' } }],
      servers: { running: true, serves: [expect.stringMatching(/^sha256:/)] },
      running: null,
      pushed: { repositories: 0, tags: 0, manifests: 0, blobs: 0, bytes: 0 },
    })
    expect(await run(['status', ...here, '--exit-code'])).toMatchObject({ code: 2 })
    expect(await run(['plan', ...here])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('`support-bundle` work without it'),
    })
    const out = join(site.site, 'support.tar.gz')
    expect(await run(['support-bundle', ...here, '--out', out])).toMatchObject({ code: 0 })
    expect(await run(['rollback', ...here, '--dry-run'])).toMatchObject({
      code: 0,
      stdout: 'would undo serve\nwould undo configure\n',
    })
    expect(await run(['stop', ...here])).toMatchObject({ code: 0 })
    expect(await run(['rollback', ...here, '--yes'])).toMatchObject({ code: 0 })
    expect(await readFile(valuesPath(site), 'utf8')).toBe(sampleValues)
    await rename(`${site.bundle}.away`, site.bundle)
    expect(await run(['apply', '--yes', ...here])).toMatchObject({ code: 0 })
  })

  it('a second run has nothing to do but to check', async () => {
    const site = await deployed()
    const pid = await servers(site)
    const again = await run(['apply', '--yes', ...site.options, '-o', 'json'])
    expect(resultsOf(again.stdout)).toEqual({
      verify: 'skipped',
      'lay-down': 'skipped',
      serve: 'skipped',
      configure: 'skipped',
      check: 'done',
    })
    expect(await servers(site)).toBe(pid)
  })

  it('a changed option reruns only the steps that depend on it; the other options are remembered', async () => {
    const site = await deployed()
    const before = await servers(site)
    const port = await freePort()
    const moved = await run([
      'apply',
      '--yes',
      '--site',
      site.site,
      '--http-port',
      String(port),
      '-o',
      'json',
    ])
    expect(resultsOf(moved.stdout)).toEqual({
      verify: 'skipped',
      'lay-down': 'skipped',
      serve: 'done',
      configure: 'done',
      check: 'done',
    })
    expect(await servers(site)).not.toBe(before)
    expect(await readFile(valuesPath(site), 'utf8')).toContain(`httpServer: "http://127.0.0.1:${port}"`)
  })

  it('serves a client file that has changed: a new site key reaches the machines', async () => {
    const site = await deployed()
    const key = await (await fetch(`${site.http}/site-key.asc`)).text()
    await rm(join(site.site, 'site-key.asc'))
    const again = await run(['apply', '--yes', ...site.options, '-o', 'json'])
    expect(resultsOf(again.stdout)).toMatchObject({ serve: 'done', configure: 'done' })
    const served = await (await fetch(`${site.http}/site-key.asc`)).text()
    expect(served).not.toBe(key)
    expect(await readFile(join(site.site, 'clients/etc/apt/keyrings/airgap-site.asc'), 'utf8')).toBe(served)
  })

  it('restarts the servers on another address to listen on, without secrets in their environment', async () => {
    const site = await deployed()
    const before = await servers(site)
    const ran = await run(['apply', '--yes', ...site.options, '--listen', '0.0.0.0'], {
      env: { OFFLINE_DEPLOY_SSH_PASSWORD: 'hunter2', OFFLINE_DEPLOY_SECRET_A_B: 'hunter2' },
    })
    expect(ran).toMatchObject({ code: 0 })
    const pid = await servers(site)
    expect(pid).not.toBe(before)
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
    expect(words[words.indexOf('--listen') + 1]).toBe('0.0.0.0')
    expect(await readFile(`/proc/${pid}/environ`, 'utf8')).not.toContain('hunter2')
  })

  it('another bundle in its place is verified, served and laid down; values files are merged', async () => {
    const site = await deployed()
    await writeBundle(
      site.bundle,
      [...sampleStack({ values: `${sampleValues}more: 1\n` }), sampleImage('quay.io/new/one:1')],
      '2.0.0',
    )
    expect(await run(['apply', '--yes', ...site.options, '-o', 'json'])).toMatchObject({ code: 0 })
    expect((await fetch(`http://${site.registry}/v2/new/one/manifests/1`)).status).toBe(200)
    const merged = await readFile(valuesPath(site), 'utf8')
    expect(merged).toContain('more: 1')
    expect(merged).toContain(site.registry)
    // and what was changed here can still be taken back
    expect(await run(['rollback', '--yes', ...site.options])).toMatchObject({ code: 0 })
    expect(await readFile(valuesPath(site), 'utf8')).toBe(`${sampleValues}more: 1\n`)
  })

  it('an older bundle is refused, and installed with --allow-older', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack(), '2.0.0')
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
    const older = join(site.work, 'older.tar')
    await writeBundle(older, sampleStack(), '1.0.0')
    const back = ['apply', '--yes', '--site', site.site, '--bundle', older]
    expect(await run(back)).toMatchObject({
      code: 4,
      stderr: expect.stringContaining(`offline-deploy apply --bundle ${older} --allow-older`),
    })
    expect(await run([...back, '--allow-older'])).toMatchObject({ code: 0 })
    const { bundles } = JSON.parse((await run(['status', '--site', site.site, '-o', 'json'])).stdout)
    expect(bundles).toMatchObject([{ path: older, version: '1.0.0' }])
  })

  it('a bundle that only looks changed is read again, and a damaged one stops everything with exit 6', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const bytes = await readFile(site.bundle)
    const at = bytes.lastIndexOf('not really a package')
    bytes[at] = 0x4e
    await writeFile(site.bundle, bytes)
    const ran = await run(['apply', '--yes', ...site.options])
    expect(ran).toMatchObject({ code: 6 })
    expect(ran.stderr).toMatch(/error BUNDLE_CORRUPT/)
    expect(await servers(site)).toBeUndefined()
    expect(await readdir(site.site)).not.toContain('deploy')
    await writeBundle(`${site.bundle}.good`, sampleStack())
    const good = ['--bundle', `${site.bundle}.good`, ...site.options.slice(2)]
    expect(await run(['apply', '--yes', ...good])).toMatchObject({ code: 0 })
    await utimes(`${site.bundle}.good`, 1, 1)
    expect(resultsOf((await run(['apply', '--yes', ...good, '-o', 'json'])).stdout)).toMatchObject({
      verify: 'done',
      serve: 'skipped',
    })
  })

  it('killed at any moment, it continues', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    // a slow machine may have gone past the next moment before the signal arrives
    for (const moment of [
      /verify: (Verify|already)/,
      /lay-down: (Lay|already)/,
      /serve: (Start|already)/,
      /configure: (Point|already)/,
    ]) {
      const running = start(['apply', '--yes', ...site.options])
      await running.said(moment)
      running.child.kill('SIGKILL')
      await running.ended
    }
    const last = await run(['apply', '--yes', ...site.options, '-o', 'json'])
    expect(last).toMatchObject({ code: 0 })
    expect(await readFile(valuesPath(site), 'utf8')).toContain(site.registry)
    const folder = join(site.site, 'deploy/deploy/environments/prod')
    expect((await readdir(folder)).sort()).toEqual(['values.yaml', 'values.yaml.airgap-backup'])
    expect(await readFile(join(folder, 'values.yaml.airgap-backup'), 'utf8')).toBe(sampleValues)
  })

  it('fault 78: of two runs at once, the second stops with exit 10', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const first = start(['apply', '--yes', ...site.options])
    await first.said('\nserve: Start')
    // it stays in the middle, however slow this machine is with the second
    first.child.kill('SIGSTOP')
    const second = await run(['apply', '--yes', ...site.options])
    first.child.kill('SIGCONT')
    expect(second).toMatchObject({ code: 10, stderr: expect.stringContaining('BUSY') })
    expect(await first.ended).toMatchObject({ code: 0 })
    expect(await run(['serve', ...site.serving])).toMatchObject({ code: 10 })
  })

  it('fault 81: umask 077, no HOME, no PATH, no terminal, LANG=C and a Korean path', async () => {
    const site = await testSite()
    const folder = join(site.work, '설치 자료')
    await mkdir(folder)
    const bundle = join(folder, '번들.tar')
    await writeBundle(bundle, sampleStack())
    const korean = join(folder, '현장')
    const options = ['--bundle', bundle, '--site', korean, ...site.options.slice(4)]
    const umask = process.umask(0o077)
    try {
      expect(
        await run(['apply', '--yes', ...options], { env: { LANG: 'C', TMPDIR: '/nonexistent' } }),
      ).toMatchObject({
        code: 0,
      })
      const hosts = join(site.nodeRoot, 'etc/containerd/certs.d/docker.io/hosts.toml')
      expect((await stat(hosts)).mode & 0o777).toBe(0o644)
      expect((await stat(korean)).mode & 0o077).toBe(0)
    } finally {
      process.umask(umask)
      await run(['stop', '--site', korean])
    }
  })

  it('fault 84: SIGINT, SIGTERM and SIGHUP end it with 130, 143, 129, and nothing is half-done', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      const running = start(['apply', '--yes', ...site.options])
      await running.said('serve: Start')
      running.child.kill(signal)
      expect((await running.ended).code).toBe(code)
    }
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
  })

  it('fault 84: a reader that closes its end stops nothing', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const running = start(['apply', '--yes', ...site.options])
    running.child.stdout?.destroy()
    running.child.stderr?.destroy()
    expect((await running.ended).code).toBe(0)
  })

  it('fault 85: names a port in use and the program that uses it, and continues later', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    // it never answers
    const other = createServer(socket => socket.resume())
    const port = Number(site.registry.split(':')[1])
    await new Promise<void>(done => other.listen(port, '127.0.0.1', done))
    try {
      const ran = await run(['apply', '--yes', ...site.options])
      expect(ran).toMatchObject({ code: 7 })
      expect(ran.stderr).toMatch(new RegExp(`error PORT_IN_USE: .*${port}`))
    } finally {
      await new Promise(done => other.close(done))
    }
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
  })

  it('fault 85: an address that is not of this machine', async () => {
    const site = await testSite()
    await writeBundle(site.bundle, sampleStack())
    const listen = await run(['serve', ...site.serving, '--listen', '192.0.2.7'])
    expect(listen).toMatchObject({ code: 7, stderr: expect.stringContaining('192.0.2.7') })
  })

  it('fault 97: no password of the values file is ever printed or kept', async () => {
    const site = await testSite()
    const planted = secretNames.map(name => `${JSON.stringify(name)}: hunter2\n`).join('')
    await writeBundle(site.bundle, sampleStack({ values: `${planted}${sampleValues}` }))
    await run(['apply', '--yes', ...site.options])
    const path = valuesPath(site)
    await writeFile(
      path,
      (await readFile(path, 'utf8')).replaceAll('hunter2', 'hunter3').replace(site.registry, 'elsewhere:1'),
    )
    const plan = await run(['plan', ...site.options])
    expect(plan.stdout).toContain(`+ ${secretNames.length + 3}:   registry: "${site.registry}"`)
    const printed = [plan.stdout, plan.stderr, (await run(['rollback', ...site.options, '--yes'])).stderr]
    for (const name of ['journal.jsonl', 'config.json', 'serve.log', 'written.json'])
      printed.push(await readFile(join(site.site, name), 'utf8'))
    expect(printed.join('\n')).not.toContain('hunter')
  })

  it('fault 103: the state folder of another machine or a newer version is refused', async () => {
    const site = await deployed()
    const journal = join(site.site, 'journal.jsonl')
    const text = await readFile(journal, 'utf8')
    const [head] = text.split('\n')
    await writeFile(journal, text.replace(/"site":"[^/]*\/[^"]*"/, '"site":"another/machine"'))
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('another site or host'),
    })
    await writeFile(journal, text.replace('"journal":1', '"journal":9'))
    expect(await run(['status', ...site.options])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('newer'),
    })
    await writeFile(journal, `${head}\n{"step":"ver`)
    expect(await run(['apply', '--yes', ...site.options])).toMatchObject({ code: 0 })
  })
})
