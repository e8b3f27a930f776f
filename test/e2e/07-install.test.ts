import { spawnSync } from 'node:child_process'
import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { networkPrograms } from '../../scripts/lib/machines/closed-network.ts'
import {
  type ControlPlane,
  controlPlanePrograms,
  openControlPlane,
} from '../../scripts/lib/machines/control-plane.ts'
import {
  type Deployed,
  type DeployOptions,
  type InstallSite,
  openInstallSite,
} from '../../scripts/lib/machines/install-site.ts'
import { debianSshRoot, sshNodePrograms } from '../../scripts/lib/machines/ssh-node.ts'
import { cacheFolder } from '../../scripts/lib/places.ts'
import { isRoot, missingPrograms } from '../../scripts/lib/run.ts'
import { buildInstallBundle } from './lib/install-stack.ts'

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
const patience = 420_000
const withCluster = lackingForApplications.length === 0
const machines = ['master-1', 'gpu-1', 'gpu-2']

describe.skipIf(lacking.length > 0)(`apply on three machines of a closed network (${needs(lacking)})`, () => {
  const resources = new AsyncDisposableStack()
  let work: string
  let site: InstallSite
  let cluster: ControlPlane | undefined
  let medium: string

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap-install-'))
    resources.defer(() => rm(work, { recursive: true, force: true }))
    const bundle = await buildInstallBundle({ work, resources, applications: withCluster })
    medium = `/media/usb/${basename(bundle)}`
    const rootTar = await debianSshRoot(cacheFolder)
    site = await openInstallSite({ bundle, work, rootTar, machines, resources, sudoPassword: sudo })
    if (withCluster) {
      const [first] = site.network.nodes
      cluster = resources.use(
        await openControlPlane({
          folder: join(work, 'cluster'),
          nodes: machines.map(name => (name === 'master-1' ? { name } : { name, gpus: 8 })),
          address: first!.address,
          inside: command => first!.inside(command),
        }),
      )
      await copyFile(cluster.kubeconfig, join(site.control.root, 'opt/site/cluster.conf'))
    } else await writeFile(join(site.control.root, 'opt/site/cluster.conf'), '')
    await site.writeSiteFile(siteFile())
  }, patience)
  afterAll(() => resources.disposeAsync())

  /** asked for by sudo on every machine; must be found nowhere afterwards */
  const sudo = "s3cret; $(touch /tmp/x) `id` '"

  function siteFile() {
    const node = (name: string, ...roles: string[]) => ({
      name,
      roles,
      address: site.nodes[machines.indexOf(name)]!.address,
    })
    return {
      apiVersion: 'airgap-site/v1',
      externalIP: site.nodes[0]!.address,
      nfs: { server: 'master-1', path: '/srv/astrago' },
      ssh: { user: 'astrago', privateKey: '/root/.ssh/id_ed25519', sudo: 'password' },
      kubeconfig: '/opt/site/cluster.conf',
      switches: { kubernetes: false },
      nodes: [
        node('master-1', 'control-plane', 'worker', 'nfs'),
        node('gpu-1', 'worker', 'gpu'),
        node('gpu-2', 'worker', 'gpu'),
      ],
    }
  }

  const apply = (args: string[] = [], options: DeployOptions = {}): Promise<Deployed> =>
    site.deploy(
      [
        'apply',
        '--yes',
        '--bundle',
        medium,
        '--site',
        '/opt/site',
        '--address',
        site.network.site.address,
        ...args,
      ],
      { ...options, env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo, ...options.env } },
    )
  const journal = async () =>
    (await readFile(join(site.control.root, 'opt/site/journal.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .slice(1)
      .map(line => JSON.parse(line) as { step: string; event: string })

  it(
    'killed in every step, it goes on where it was and does nothing twice',
    async () => {
      const killed: string[] = []
      let last: Deployed
      do {
        const before = [...killed]
        last = await apply([], {
          onLine(line, kill) {
            const [, step] = /^([a-z][a-z-]*): (?!done before|failed)/.exec(line) ?? []
            if (step === undefined || before.includes(step) || killed.length > before.length) return
            killed.push(step)
            // somewhere inside of it
            setTimeout(kill, 300)
          },
        })
        // one that fails by itself is none that was killed
        if (killed.length === before.length) break
      } while (last.code !== 0)
      expect(last.stderr).toMatch(/done before/)
      expect(last, last.stderr).toMatchObject({ code: 0 })
      expect(killed).toEqual(
        expect.arrayContaining([
          'control-host',
          'nodes',
          'nfs',
          ...(withCluster ? ['app-mpi-operator'] : []),
        ]),
      )
      // no step is started again after it was done, but those that run every time
      const entries = await journal()
      for (const [i, { step, event }] of entries.entries()) {
        if (event !== 'started' || ['check', 'preflight', 'verification'].includes(step)) continue
        expect(
          entries.slice(0, i).filter(one => one.step === step && one.event === 'done'),
          step,
        ).toEqual([])
      }
    },
    patience,
  )

  it(
    'every machine asks the site alone, and has what it needs',
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
    `the applications run on the cluster (${needs(lackingForApplications)})`,
    async () => {
      const releases = await site.control.chroot([
        '/opt/site/tools/bin/helm',
        '--kubeconfig',
        '/opt/site/cluster.conf',
        'list',
        '-A',
        '-o',
        'json',
      ])
      expect(
        JSON.parse(releases).map((one: { name: string; status: string }) => `${one.name} ${one.status}`),
      ).toEqual(['gpu-session-monitoring deployed', 'mpi-operator deployed'])
      const images = await cluster!.kubectl(['get', 'pods', '-A', '-o', 'jsonpath={..image}'])
      for (const image of new Set(images.split(' ').filter(Boolean)))
        expect(image).toMatch(new RegExp(`^${site.network.site.address}:35000/`))
    },
    patience,
  )

  it(
    'a second run has nothing to do; a changed site.yaml runs again what depends on it',
    async () => {
      const again = await apply()
      expect(again.code).toBe(0)
      const done = (ran: Deployed) => [...ran.stdout.matchAll(/^(\S+) +done in/gm)].map(([, id]) => id)
      expect(done(again).filter(id => !['check', 'preflight', 'verification'].includes(id!))).toEqual([])
      const changed = siteFile()
      await site.writeSiteFile({ ...changed, nfs: { ...changed.nfs, networks: ['10.77.0.0/24'] } })
      const after = await apply()
      expect(after.code).toBe(0)
      expect(done(after)).toContain('nfs')
      expect(done(after)).not.toContain('control-host')
      expect(await readFile(join(site.nodes[0]!.root, 'etc/exports.d/astrago.exports'), 'utf8')).toContain(
        '10.77.0.0/24(rw',
      )
    },
    patience,
  )

  it(
    'a machine that was installed anew is not taken for done; who looks meanwhile ends nothing',
    async () => {
      const limited = ['--only', 'nodes', '--limit', 'gpu-1']
      const done = (ran: Deployed) => [...ran.stdout.matchAll(/^(\S+) +done in/gm)].map(([, id]) => id)
      expect(await apply(limited)).toMatchObject({ code: 0 })
      expect(done(await apply(limited))).toEqual([])
      await site.nodes[1]!.chroot(['rm', '/etc/airgap-nodes.stamp'])
      let looks: Promise<Deployed> | undefined
      const ran = await apply(limited, {
        onLine(line) {
          if (!line.startsWith('nodes: ') || looks !== undefined) return
          looks = site.deploy(['plan', '--bundle', medium, '--site', '/opt/site', '--limit', 'gpu-1'], {
            env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo },
          })
        },
      })
      expect(ran, ran.stderr).toMatchObject({ code: 0 })
      expect(done(ran)).toEqual(['nodes'])
      expect(await looks).toMatchObject({ code: 0 })
      expect(await apply(['--only', 'nodes'])).toMatchObject({ code: 0 })
    },
    patience,
  )

  it(
    'a kept plan is carried out, or refused where the world has changed',
    async () => {
      const common = ['--bundle', medium, '--site', '/opt/site', '--address', site.network.site.address]
      const planned = await site.deploy([
        'plan',
        ...common,
        '--only',
        'inventory,configure',
        '--out',
        '/opt/plan.json',
      ])
      expect(planned.code).toBe(0)
      const again = await apply(['--only', 'configure', '/opt/plan.json'])
      expect(again.stderr).toMatch(/a kept plan says itself what it is about/)
      expect(again.code).toBe(2)
      const done = await apply(['/opt/plan.json'])
      expect(done, done.stderr).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^2 of \d+ steps/m),
      })
      const changed = siteFile()
      await site.writeSiteFile({ ...changed, ssh: { ...changed.ssh, port: 2222 } })
      const refused = await apply(['/opt/plan.json'])
      expect(refused.stderr).toMatch(/PLAN_CHANGED[\s\S]*inventory: was done, is pending/)
      expect(refused.code).toBe(2)
      await site.writeSiteFile(siteFile())
    },
    patience,
  )

  it(
    'two at once: the second says who is at work',
    async () => {
      const [first, second] = await Promise.all([
        apply(['--only', 'nodes,nfs']),
        apply(['--only', 'nodes,nfs']),
      ])
      expect([first.code, second.code].sort()).toEqual([0, 10])
    },
    patience,
  )

  it(
    'reports by name a node that was lost, one whose host key changed, and a wrong password (fault 101)',
    async () => {
      const again = async (options: DeployOptions = {}) => await apply(['--only', 'nodes'], options)
      // what is done is not asked for twice: the machine itself has to be another
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
      expect(changed.stderr).toMatch(/another host key than before[\s\S]*gpu-2/)
      expect(changed.code).toBe(8)
      await site.control.chroot(['ssh-keygen', '-f', '/opt/site/known_hosts', '-R', site.nodes[2]!.address])
      const wrong = await again({ env: { OFFLINE_DEPLOY_SUDO_PASSWORD: 'wrong' } })
      expect(wrong.stderr).toMatch(/STEP_FAILED[\s\S]*(Incorrect sudo password|incorrect password)/i)
      expect(wrong.code).toBe(8)
      expect((await again()).code).toBe(0)
    },
    patience,
  )

  const usb = (bundle: string) => `/media/usb/${basename(bundle)}`
  const upgrade = (bundle: string, ...args: string[]) =>
    site.deploy(['upgrade', '--yes', '--bundle', usb(bundle), '--site', '/opt/site', ...args], {
      env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo },
    })
  const releases = async (): Promise<{ name: string; revision: string; chart: string }[]> =>
    JSON.parse(
      await site.control.chroot([
        '/opt/site/tools/bin/helm',
        '--kubeconfig',
        '/opt/site/cluster.conf',
        'list',
        '-A',
        '-o',
        'json',
      ]),
    )

  it.skipIf(!withCluster)(
    `the next bundle: saved first, merged, one application changed; then back (${needs(lackingForApplications)})`,
    async () => {
      const values = join(site.control.root, 'opt/site/deploy/platform/environments/prod/values.yaml')
      // somebody's own wish, and their comment
      await writeFile(values, `${await readFile(values, 'utf8')}harbor: # ours\n  servicePort: 30999\n`)
      const next = await buildInstallBundle({
        work,
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
      const plain = await apply(['--bundle', usb(next)])
      expect(plain.stderr).toMatch(/INCOMPATIBLE: the bundle is newer[\s\S]*offline-deploy upgrade --bundle/)
      expect(plain.code).toBe(4)
      // what cannot be saved is not changed, and the site stays that of its bundle
      const config = () => readFile(join(site.control.root, 'opt/site/config.json'), 'utf8')
      const before = await config()
      await site.control.chroot(['mv', '/opt/site/cluster.conf', '/opt/site/away'])
      expect((await upgrade(next, '--only', 'app')).stderr).toMatch(/nothing was changed/)
      await site.control.chroot(['mv', '/opt/site/away', '/opt/site/cluster.conf'])
      expect(await config()).toBe(before)
      const ran = await upgrade(next)
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
      const charts = async () => Object.fromEntries((await releases()).map(one => [one.name, one.chart]))
      expect((await charts())['mpi-operator']).toBe('mpi-operator-0.2.0')
      const back = await site.deploy(
        ['rollback-app', 'mpi-operator', '--yes', '--site', '/opt/site', '--bundle', usb(next)],
        { env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo } },
      )
      expect(back, back.stderr).toMatchObject({ code: 0 })
      expect((await charts())['mpi-operator']).toBe('mpi-operator-0.1.0')
      const again = await site.deploy(
        ['rollback-app', 'mpi-operator', '--yes', '--site', '/opt/site', '--bundle', usb(next)],
        { env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo } },
      )
      expect(again.stderr).toMatch(/no release of it has a working revision to go back to/)
      const reset = await site.deploy(
        ['reset', '--yes', '--confirm', 'prod', '--site', '/opt/site', '--bundle', usb(next)],
        { env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo } },
      )
      expect(reset.stderr).toMatch(/USAGE: this cluster was not installed from here/)
    },
    patience,
  )

  it.skipIf(!withCluster)(
    `a forbidden jump, a driver that does not go with it and an older bundle are refused (${needs(lackingForApplications)})`,
    async () => {
      const bring = (version: string, versions: Record<string, string>) =>
        buildInstallBundle({ work, resources, applications: true, version, versions })
      const before = await releases()
      const jump = await upgrade(await bring('1.2.0', { kubernetes: 'v1.30.4' }))
      expect(jump.stderr).toMatch(/INCOMPATIBLE[\s\S]*minor versions may not be skipped: go to 1.29 first/)
      expect(jump.code).toBe(4)
      // a machine with another driver than the operator of the bundle takes
      const other = '/opt/other-root'
      await site.control.chroot(['mkdir', '-p', `${other}/sys/module/nvidia`])
      await writeFile(join(site.control.root, other, 'sys/module/nvidia/version'), '470.256.02\n')
      const driver = await upgrade(await bring('1.2.1', { 'gpu-operator': 'v24.9.2' }), '--node-root', other)
      expect(driver.stderr).toMatch(/INCOMPATIBLE[\s\S]*gpu-operator-24.9-driver[\s\S]*470.256.02/)
      expect(driver.code).toBe(4)
      const older = await upgrade(medium)
      expect(older.stderr).toMatch(
        /INCOMPATIBLE: the bundle is older than what is installed: 1.0.0, not 1.1.0/,
      )
      expect(older.code).toBe(4)
      expect(await releases()).toEqual(before)
    },
    patience,
  )

  it.skipIf(!withCluster)(
    `applications are taken away where both answers are given (${needs(lackingForApplications)})`,
    async () => {
      const destroy = (...args: string[]) =>
        site.deploy(['destroy', 'mpi-operator', '--site', '/opt/site', '--bundle', medium, ...args], {
          env: { OFFLINE_DEPLOY_SUDO_PASSWORD: sudo },
        })
      for (const args of [[], ['--yes'], ['--yes', '--confirm', 'stage']]) {
        const refused = await destroy(...args)
        expect(refused.stderr).toMatch(/give --yes and --confirm prod; nothing was changed/)
        expect(refused.code).toBe(2)
      }
      expect((await destroy('--yes', '--confirm', 'prod')).code).toBe(0)
      expect((await releases()).map(({ name }) => name)).toEqual(['gpu-session-monitoring'])
    },
    patience,
  )

  it(
    'no secret in anything it wrote or said (fault 97)',
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

  it('nothing tried to leave', async () => {
    expect(await site.network.escapeAttempts()).toBe(0)
  })
})
