import { spawnSync } from 'node:child_process'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { networkPrograms } from '../../scripts/lib/machines/closed-network.ts'
import { controlPlanePrograms } from '../../scripts/lib/machines/control-plane.ts'
import type { Deployed, DeployOptions, InstallSite } from '../../scripts/lib/machines/install-site.ts'
import { sshNodePrograms } from '../../scripts/lib/machines/ssh-node.ts'
import { isRoot, missingPrograms } from '../../scripts/lib/run.ts'
import { buildInstallBundle } from './lib/install-stack.ts'
import { doneSteps, type InstallTest, onMedium, openInstallTest, sudo } from './lib/install-test.ts'

const reached = (url: string) =>
  spawnSync('curl', ['--fail', '--silent', '--head', '--max-time', '10', url]).status === 0
const lacking = [
  ...(isRoot ? [] : ['root']),
  ...missingPrograms(['curl', ...networkPrograms, ...sshNodePrograms]),
  ...(reached('http://deb.debian.org/debian/dists/bookworm/InRelease') ? [] : ['deb.debian.org']),
  ...(reached('https://pypi.org/simple/ansible-core/') ? [] : ['pypi.org']),
]
const lackingForApplications = missingPrograms(['helm', 'helmfile', ...controlPlanePrograms])
const needs = (programs: string[]) => `needs ${programs.join(', ') || 'nothing more'}`
const patience = 600_000
const withCluster = lackingForApplications.length === 0
const killedApplications = ['app-flux', 'app-harbor', 'app-mpi-operator']
const allReleases = [
  'astrago',
  'astrago-mariadb',
  'flux',
  'gpu-operator',
  'gpu-operator-config',
  'gpu-session-monitoring',
  'harbor',
  'keycloak',
  'mpi-operator',
  'nfs-provisioner',
  'prometheus',
]

describe.skipIf(lacking.length > 0)(`apply on three machines of a closed network (${needs(lacking)})`, () => {
  const resources = new AsyncDisposableStack()
  let test: InstallTest
  let site: InstallSite

  beforeAll(async () => {
    test = await openInstallTest({ applications: withCluster, resources })
    site = test.site
  }, patience)
  afterAll(() => resources.disposeAsync())

  it('continues after a kill in every step, and does nothing twice', async () => {
    const killed: string[] = []
    let last: Deployed
    do {
      const before = [...killed]
      // preflight runs every time, and queries every machine: to be killed in it once is enough
      last = await test.apply(before.includes('preflight') ? ['--skip', 'preflight'] : [], {
        onLine(line, kill) {
          const [, step] = /^([a-z][a-z-]*): (?!already done|failed)/.exec(line) ?? []
          if (step === undefined || before.includes(step) || killed.length > before.length) return
          // all applications go through the same code: those with a hook, a volume and our own chart will do
          if (step.startsWith('app-') && !killedApplications.includes(step)) return
          killed.push(step)
          // somewhere within the step
          setTimeout(kill, 300)
        },
      })
      // a run that failed was not killed
      if (killed.length === before.length) break
    } while (last.code !== 0)
    expect(last.stderr).toMatch(/already done/)
    expect(last, last.stderr).toMatchObject({ code: 0 })
    expect(killed).toEqual(
      expect.arrayContaining(['control-host', 'nodes', 'nfs', ...(withCluster ? killedApplications : [])]),
    )
    // no step starts again once it is done, except those that run every time
    const entries = await test.journal()
    for (const [i, { step, event }] of entries.entries()) {
      if (event !== 'started' || ['check', 'preflight', 'verification'].includes(step)) continue
      expect(
        entries.slice(0, i).filter(one => one.step === step && one.event === 'done'),
        step,
      ).toEqual([])
    }
  }, 1_800_000)

  it(
    'has configured every machine to use the site only, and installed its prerequisites',
    async () => {
      for (const machine of site.nodes) {
        const places = await machine.chroot(['apt-get', 'indextargets', '--format', '$(SITE)'])
        expect([...new Set(places.trim().split('\n'))]).toEqual([
          `http://${site.network.site.address}:8080/debs/debian-12/deb.debian.org/debian`,
        ])
        expect(await machine.chroot(['dpkg-query', '-W', '-f', '${db:Status-Abbrev}', 'nfs-common'])).toBe(
          'ii ',
        )
        expect(
          await readFile(join(machine.root, 'etc/containerd/certs.d/_default/hosts.toml'), 'utf8'),
        ).toContain(`${site.network.site.address}:35000`)
      }
      expect(await readFile(join(site.nodes[0]!.root, 'etc/exports.d/astrago.exports'), 'utf8')).toContain(
        `/srv/astrago ${site.nodes[0]!.address}(rw`,
      )
    },
    patience,
  )

  it.skipIf(!withCluster)(
    `has installed the applications on the cluster (${needs(lackingForApplications)})`,
    async () => {
      const installed = await test.releases()
      expect(installed.map(({ name }) => name)).toEqual(allReleases)
      expect(new Set(installed.map(({ status }) => status))).toEqual(new Set(['deployed']))
      const images = await test.cluster!.kubectl(['get', 'pods', '-A', '-o', 'jsonpath={..image}'])
      for (const image of new Set(images.split(' ').filter(Boolean)))
        expect(image).toMatch(new RegExp(`^${site.network.site.address}:35000/`))
    },
    patience,
  )

  it(
    'has nothing to do in a second run; a changed site.yaml runs again the steps that depend on it',
    async () => {
      const again = await test.apply()
      expect(again.code).toBe(0)
      expect(doneSteps(again).filter(id => !['check', 'preflight', 'verification'].includes(id))).toEqual([])
      const changed = test.siteFile()
      await site.writeSiteFile({ ...changed, nfs: { ...changed.nfs, networks: ['10.77.0.0/24'] } })
      const after = await test.apply()
      expect(after.code).toBe(0)
      expect(doneSteps(after)).toContain('nfs')
      expect(doneSteps(after)).not.toContain('control-host')
      expect(await readFile(join(site.nodes[0]!.root, 'etc/exports.d/astrago.exports'), 'utf8')).toContain(
        '10.77.0.0/24(rw',
      )
    },
    patience,
  )

  it(
    'runs the step again for a reinstalled machine; a plan meanwhile does not disturb it',
    async () => {
      const limited = ['--only', 'nodes', '--limit', 'gpu-1']
      expect(await test.apply(limited)).toMatchObject({ code: 0 })
      expect(doneSteps(await test.apply(limited))).toEqual([])
      await site.nodes[1]!.chroot(['rm', '/etc/airgap-nodes.stamp'])
      let looks: Promise<Deployed> | undefined
      const ran = await test.apply(limited, {
        onLine(line) {
          if (!line.startsWith('nodes: ') || looks !== undefined) return
          looks = site.deploy(['plan', '--bundle', test.medium, '--site', '/opt/site', '--limit', 'gpu-1'], {
            env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo },
          })
        },
      })
      expect(ran, ran.stderr).toMatchObject({ code: 0 })
      expect(doneSteps(ran)).toEqual(['nodes'])
      expect(await looks).toMatchObject({ code: 0 })
      expect(await test.apply(['--only', 'nodes'])).toMatchObject({ code: 0 })
    },
    patience,
  )

  it(
    'carries out a saved plan, or refuses it after a change',
    async () => {
      const common = ['--bundle', test.medium, '--site', '/opt/site', '--address', site.network.site.address]
      const planned = await site.deploy([
        'plan',
        ...common,
        '--only',
        'inventory,configure',
        '--out',
        '/opt/plan.json',
      ])
      expect(planned.code).toBe(0)
      const again = await test.apply(['--only', 'configure', '/opt/plan.json'])
      expect(again.stderr).toMatch(/a saved plan already records which steps to run; remove --only/)
      expect(again.code).toBe(2)
      const done = await test.apply(['/opt/plan.json'])
      expect(done, done.stderr).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^2 of \d+ steps/m),
      })
      const changed = test.siteFile()
      await site.writeSiteFile({ ...changed, ssh: { ...changed.ssh, port: 2222 } })
      const refused = await test.apply(['/opt/plan.json'])
      expect(refused.stderr).toMatch(/PLAN_CHANGED[\s\S]*inventory: was done, is pending/)
      expect(refused.code).toBe(2)
      await site.writeSiteFile(test.siteFile())
    },
    patience,
  )

  it(
    'lets one of two runs work; the other reports which process holds the lock',
    async () => {
      const [first, second] = await Promise.all([
        test.apply(['--only', 'nodes,nfs']),
        test.apply(['--only', 'nodes,nfs']),
      ])
      expect([first.code, second.code].sort()).toEqual([0, 10])
    },
    patience,
  )

  it(
    'reports by name a node that was lost, one whose host key changed, and a wrong password (fault 101)',
    async () => {
      const again = async (options: DeployOptions = {}) => await test.apply(['--only', 'nodes'], options)
      // a done step runs again only where the machine has changed
      const forget = () => rm(join(site.nodes[2]!.root, 'etc/airgap-nodes.stamp'), { force: true })
      await forget()
      await site.nodes[2]!.stopSshd()
      const lost = await again()
      expect(lost.stderr).toMatch(/STEP_FAILED[\s\S]*gpu-2: Gathering Facts: .*(refused|unreachable)/i)
      expect(lost.code).toBe(8)
      await site.nodes[2]!.chroot([
        'rm',
        '/etc/ssh/ssh_host_ed25519_key',
        '/etc/ssh/ssh_host_ed25519_key.pub',
      ])
      await site.nodes[2]!.chroot([
        'ssh-keygen',
        '-q',
        '-t',
        'ed25519',
        '-N',
        '',
        '-f',
        '/etc/ssh/ssh_host_ed25519_key',
      ])
      await site.nodes[2]!.startSshd()
      const changed = await again()
      expect(changed.stderr).toMatch(/host key of a machine has changed[\s\S]*gpu-2/)
      expect(changed.code).toBe(8)
      await site.control.chroot(['ssh-keygen', '-f', '/opt/site/known_hosts', '-R', site.nodes[2]!.address])
      const wrong = await again({ env: { OFFLINE_DEPLOY_SUDO_PASSWORD: 'wrong' } })
      expect(wrong.stderr).toMatch(/STEP_FAILED[\s\S]*(Incorrect sudo password|incorrect password)/i)
      expect(wrong.code).toBe(8)
      expect((await again()).code).toBe(0)
    },
    patience,
  )

  it.skipIf(!withCluster)(
    `upgrades to the next bundle: backs up, merges values, changes one application; then rolls it back (${needs(lackingForApplications)})`,
    async () => {
      const values = join(site.control.root, 'opt/site/deploy/platform/environments/prod/values.yaml')
      // a setting of the operator, with a comment
      await writeFile(values, `${await readFile(values, 'utf8')}harbor: # ours\n  servicePort: 30999\n`)
      const next = await buildInstallBundle({
        work: test.work,
        resources,
        applications: true,
        version: '1.1.0',
        async edit(tree) {
          const chart = join(tree, 'applications/mpi-operator/chart/Chart.yaml')
          await writeFile(chart, (await readFile(chart, 'utf8')).replace(/^version: .*$/m, 'version: 0.2.0'))
          const brought = join(tree, 'environments/prod/values.yaml')
          await writeFile(
            brought,
            `# the next version\n${await readFile(brought, 'utf8')}gpuSessionMonitoring:\n  enabled: true\n`,
          )
        },
      })
      const plain = await test.apply(['--bundle', onMedium(next)])
      expect(plain.stderr).toMatch(/INCOMPATIBLE: the bundle is newer[\s\S]*offline-deploy upgrade --bundle/)
      expect(plain.code).toBe(4)
      // without a backup nothing changes, and the site keeps its bundle
      const config = () => readFile(join(site.control.root, 'opt/site/config.json'), 'utf8')
      const before = await config()
      await site.control.chroot(['mv', '/opt/site/cluster.conf', '/opt/site/away'])
      expect((await test.upgrade(next, '--only', 'app')).stderr).toMatch(/nothing was changed/)
      await site.control.chroot(['mv', '/opt/site/away', '/opt/site/cluster.conf'])
      expect(await config()).toBe(before)
      const ran = await test.upgrade(next)
      expect(ran, ran.stderr).toMatchObject({ code: 0 })
      const merged = await readFile(values, 'utf8')
      expect(merged).toMatch(/^# the next version\n/)
      expect(merged).toContain('servicePort: 30999')
      expect(merged).toContain('gpuSessionMonitoring:')
      const [saved] = await readdir(join(site.control.root, 'opt/site/backups'))
      expect(await readdir(join(site.control.root, 'opt/site/backups', saved!))).toEqual(
        expect.arrayContaining(['platform', 'inventory', 'releases.json', 'site.yaml']),
      )
      const { mode } = await stat(join(site.control.root, 'opt/site/backups', saved!, 'site.yaml'))
      expect(mode & 0o777).toBe(0o600)
      const charts = async () => Object.fromEntries((await test.releases()).map(one => [one.name, one.chart]))
      expect((await charts())['mpi-operator']).toBe('mpi-operator-0.2.0')
      const back = await site.deploy(
        ['rollback-app', 'mpi-operator', '--yes', '--site', '/opt/site', '--bundle', onMedium(next)],
        { env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo } },
      )
      expect(back, back.stderr).toMatchObject({ code: 0 })
      expect((await charts())['mpi-operator']).toBe('mpi-operator-0.1.0')
      const again = await site.deploy(
        ['rollback-app', 'mpi-operator', '--yes', '--site', '/opt/site', '--bundle', onMedium(next)],
        { env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo } },
      )
      expect(again.stderr).toMatch(/no release of the application has a previous revision that worked/)
      const reset = await site.deploy(
        ['reset', '--yes', '--confirm', 'prod', '--site', '/opt/site', '--bundle', onMedium(next)],
        { env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo } },
      )
      expect(reset.stderr).toMatch(/USAGE: this cluster was not installed from here/)
    },
    patience,
  )

  it.skipIf(!withCluster)(
    `refuses a skipped minor version, an incompatible driver and an older bundle (${needs(lackingForApplications)})`,
    async () => {
      const bring = (version: string, versions: Record<string, string>) =>
        buildInstallBundle({ work: test.work, resources, applications: true, version, versions })
      const before = await test.releases()
      const jump = await test.upgrade(await bring('1.2.0', { kubernetes: 'v1.30.4' }))
      expect(jump.stderr).toMatch(
        /INCOMPATIBLE[\s\S]*minor versions must not be skipped: upgrade to 1.29 first/,
      )
      expect(jump.code).toBe(4)
      // a machine whose driver the bundle's GPU operator does not support
      const other = '/opt/other-root'
      await site.control.chroot(['mkdir', '-p', `${other}/sys/module/nvidia`])
      await writeFile(join(site.control.root, other, 'sys/module/nvidia/version'), '470.256.02\n')
      const driver = await test.upgrade(
        await bring('1.2.1', { 'gpu-operator': 'v24.9.2' }),
        '--node-root',
        other,
      )
      expect(driver.stderr).toMatch(/INCOMPATIBLE[\s\S]*gpu-operator-24.9-driver[\s\S]*470.256.02/)
      expect(driver.code).toBe(4)
      const older = await test.upgrade(test.medium)
      expect(older.stderr).toMatch(
        /INCOMPATIBLE: the bundle is older than the installed one: 1.0.0, not 1.1.0[\s\S]*upgrade --bundle .* --allow-older/,
      )
      expect(older.code).toBe(4)
      expect(await test.releases()).toEqual(before)
    },
    patience,
  )

  it.skipIf(!withCluster)(
    `removes applications only with both confirmations (${needs(lackingForApplications)})`,
    async () => {
      const destroy = (...args: string[]) =>
        site.deploy(['destroy', 'mpi-operator', '--site', '/opt/site', '--bundle', test.medium, ...args], {
          env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo },
        })
      for (const args of [[], ['--yes'], ['--yes', '--confirm', 'stage']]) {
        const refused = await destroy(...args)
        expect(refused.stderr).toMatch(/pass --yes --confirm prod; nothing was changed/)
        expect(refused.code).toBe(2)
      }
      expect((await destroy('--yes', '--confirm', 'prod')).code).toBe(0)
      expect((await test.releases()).map(({ name }) => name)).toEqual(
        allReleases.filter(name => name !== 'mpi-operator'),
      )
    },
    patience,
  )

  it(
    'has no secret in anything it wrote or printed (fault 97)',
    async () => {
      const secrets = await readFile(
        join(site.control.root, 'opt/site/deploy/platform/environments/prod/secrets.yaml'),
        'utf8',
      )
      const values = [...secrets.matchAll(/: (\S{16,})$/gm)].map(([, value]) => value!)
      expect(values.length).toBeGreaterThan(5)
      const text = await site.control.chroot([
        'sh',
        '-c',
        'cat /opt/site/journal.jsonl /opt/site/logs/* /opt/site/serve.log /opt/site/config.json /opt/site/inventory/hosts.yaml',
      ])
      for (const secret of [sudo, ...values]) expect(text.includes(secret)).toBe(false)
    },
    patience,
  )

  it('has sent nothing out of the closed network', async () => {
    expect(await site.network.escapeAttempts()).toBe(0)
  })
})
