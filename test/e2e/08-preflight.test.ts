import { spawn, spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { networkPrograms } from '../../scripts/lib/machines/closed-network.ts'
import { type InstallSite, openInstallSite } from '../../scripts/lib/machines/install-site.ts'
import { debianSshRoot, type SshNode, sshNodePrograms } from '../../scripts/lib/machines/ssh-node.ts'
import { cacheFolder, home } from '../../scripts/lib/places.ts'
import { isRoot, missingPrograms, run } from '../../scripts/lib/run.ts'
import { serveFolder } from '../../scripts/lib/upstreams/serve-folder.ts'
import { defined } from '../../src/core/defined.ts'
import { airgap } from './lib/airgap.ts'

const reached = (url: string) =>
  spawnSync('curl', ['--fail', '--silent', '--head', '--max-time', '10', url]).status === 0
const lacking = [
  ...(isRoot ? [] : ['root']),
  ...missingPrograms(['curl', ...networkPrograms, ...sshNodePrograms]),
  ...(reached('http://deb.debian.org/debian/dists/bookworm/InRelease') ? [] : ['deb.debian.org']),
  ...(reached('https://pypi.org/simple/pip/') ? [] : ['pypi.org']),
]
const patience = 420_000
/** host of the test's upstream */
const publisher = 'https://files.example'
const machines = ['master-1', 'worker-1', 'worker-2', 'worker-3', 'gpu-1']

describe.skipIf(lacking.length > 0)(
  `preflight of five machines in a closed network (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let site: InstallSite
    let medium: string

    beforeAll(async () => {
      const work = await mkdtemp(join(tmpdir(), 'airgap-preflight-'))
      resources.defer(() => rm(work, { recursive: true, force: true }))
      const bundle = await build(work)
      medium = `/media/usb/${basename(bundle)}`
      const rootTar = await debianSshRoot(cacheFolder)
      site = await openInstallSite({ bundle, work, rootTar, machines, resources })
    }, patience)
    afterAll(() => resources.disposeAsync())

    /** One package for the machines, and a tree that would install Kubernetes. */
    async function build(work: string): Promise<string> {
      const tree = join(work, 'tree')
      const served = join(work, 'served')
      await mkdir(served)
      await writeFile(join(served, 'kubespray.tar.gz'), 'not unpacked in this test')
      const server = resources.adopt(await serveFolder(served), one => one.close())
      await mkdir(join(tree, 'inventory'), { recursive: true })
      await writeFile(join(tree, 'install.yaml'), JSON.stringify(installFile))
      await cp(join(home, 'bundle/astrago/environments'), join(tree, 'environments'), { recursive: true })
      const manifest = join(work, 'stack.yaml')
      const debian = {
        archive: 'http://deb.debian.org/debian',
        keys: [join(home, 'manifests/keys/debian-archive.asc')],
      }
      await writeFile(
        manifest,
        JSON.stringify({
          apiVersion: 'airgap/v1',
          name: 'platform',
          version: '1.0.0',
          debs: [{ name: 'debian-12', suite: 'bookworm', ...debian, packages: ['hostname'] }],
          wheels: [{ name: 'ansible', pythons: ['3.11'], packages: ['pip==24.3.1'] }],
          files: [{ url: `${publisher}/kubespray.tar.gz` }],
          trees: [{ name: 'platform', from: tree }],
        }),
      )
      const common = ['-f', manifest, '--cache', join(work, 'cache'), '--remap', `${publisher}=${server.url}`]
      const bundle = join(work, 'usb', 'platform.tar')
      await mkdir(join(work, 'usb'))
      for (const args of [
        ['lock', ...common],
        ['build', ...common, '--frozen', '--out', bundle],
      ]) {
        const ran = await airgap(args)
        expect(ran, ran.stderr).toMatchObject({ code: 0 })
      }
      return bundle
    }

    const installFile = {
      apiVersion: 'airgap-install/v1',
      python: { versions: ['3.11'], requirements: 'requirements.txt' },
      playbooks: { nodes: 'nodes.yml' },
      kubespray: {
        archive: 'files.example/kubespray.tar.gz',
        inventory: 'inventory',
        offlineVariables: 'offline.yml',
      },
    }

    async function writeSite({ kubernetes, sudo }: { kubernetes: boolean; sudo?: 'password' }) {
      await site.writeSiteFile({
        apiVersion: 'airgap-site/v1',
        ssh: {
          user: 'astrago',
          privateKey: '/root/.ssh/id_ed25519',
          ...defined({ sudo }),
        },
        switches: { kubernetes },
        ...(kubernetes ? {} : { kubeconfig: '/opt/site/cluster.conf' }),
        nodes: site.nodes.map(({ name, address }) => ({
          name,
          address,
          roles:
            name === 'master-1'
              ? ['control-plane', 'worker']
              : name === 'gpu-1'
                ? ['worker', 'gpu']
                : ['worker'],
        })),
      })
    }
    const where = () => ['--bundle', medium, '--site', '/opt/site', '--address', site.network.site.address]
    const node = (name: string): SshNode => site.nodes[machines.indexOf(name)]!

    async function preflight(...args: string[]) {
      const ran = await site.deploy(['preflight', ...where(), '--output', 'json', ...args])
      const { machines, findings } = JSON.parse(ran.stdout) as {
        machines: { name: string; facts?: Record<string, unknown> }[]
        findings: { machine: string; level: string; what: string; next: string }[]
      }
      const problemsOf = (name: string) =>
        findings.filter(one => one.machine === name && one.level === 'error').map(({ what }) => what)
      return { ...ran, machines, findings, problemsOf }
    }

    it(
      'finds nothing wrong with good machines, and changes nothing on them',
      async () => {
        await writeSite({ kubernetes: false })
        const changed = [
          'find',
          '/etc',
          '/home',
          '/opt',
          '/root',
          '/srv',
          '/usr',
          '-newer',
          '/root/before',
          '-type',
          'f',
        ]
        const stamp = () => Promise.all(site.nodes.map(one => one.chroot(changed)))
        for (const one of site.nodes) await one.chroot(['touch', '/root/before'])
        const { code, machines: found, findings, stderr } = await preflight()
        expect(findings.filter(({ level }) => level === 'error')).toEqual([])
        expect(code, stderr).toBe(0)
        expect(found.map(({ name }) => name)).toEqual(machines)
        for (const { facts } of found)
          expect(facts).toMatchObject({ osId: 'debian', osVersion: '12', architecture: 'amd64', sudo: 'ok' })
        // the missing GPU is reported, only for the machine that should have one
        expect(findings.filter(({ what }) => what.includes('NVIDIA')).map(({ machine }) => machine)).toEqual([
          'gpu-1',
        ])
        expect(await stamp()).toEqual(machines.map(() => ''))
        const text = await site.deploy(['preflight', ...where(), '--limit', 'kube_node,!gpu-1'])
        expect(text).toMatchObject({ code: 0 })
        expect(text.stdout).toMatch(/^machine +address/)
        expect(text.stdout).toMatch(/^worker-3 +10\.77\.0\.5 +Debian/m)
        expect(text.stdout).not.toContain('gpu-1')
        expect(await preflight('--limit', 'nobody').catch(error => error)).toBeInstanceOf(Error)
      },
      patience,
    )

    it(
      'reports all problems in one run',
      async () => {
        await writeSite({ kubernetes: true })
        await node('worker-1').stopSshd()
        await writeFile(join(node('worker-2').root, 'home/astrago/.ssh/authorized_keys'), '')
        await node('worker-3').stopSshd()
        await node('worker-3').chroot(['sh', '-c', 'rm /etc/ssh/ssh_host_*; ssh-keygen -A'])
        await node('worker-3').startSshd()
        await node('gpu-1').chroot(['chpasswd'], 'astrago:secret\n')
        await writeFile(join(node('gpu-1').root, 'etc/sudoers.d/astrago'), 'astrago ALL=(ALL:ALL) ALL\n')
        // as in a clone of master-1
        const id = await readFile(join(node('master-1').root, 'etc/machine-id'))
        await writeFile(join(node('gpu-1').root, 'etc/machine-id'), id)
        const [program, ...args] = node('master-1').inside([
          'python3',
          '-c',
          'import socket,time; s=socket.create_server(("", 6443)); print("there", flush=True); time.sleep(600)',
        ])
        const listener = spawn(program!, args, { stdio: ['ignore', 'pipe', 'ignore'] })
        try {
          await new Promise(there => listener.stdout.once('data', there))
          const { code, problemsOf, stderr } = await preflight()
          expect(code, stderr).toBe(7)
          expect(problemsOf('worker-1')).toEqual(['nothing listens on 10.77.0.3, port 22'])
          expect(problemsOf('worker-2')).toEqual(['10.77.0.4 rejects the login of astrago'])
          expect(problemsOf('worker-3')).toEqual(['10.77.0.5 answers with another host key than before'])
          expect(problemsOf('gpu-1')).toEqual(
            expect.arrayContaining(['sudo requires a password', 'has the same /etc/machine-id as master-1']),
          )
          expect(problemsOf('master-1')).toEqual(
            expect.arrayContaining([
              'another program listens on ports that Kubernetes needs: 6443 (API server)',
              'does not run systemd, which kubelet and containerd require',
            ]),
          )
          // apply stops at this, before its first change
          const applied = await site.deploy(['apply', '--yes', ...where()])
          expect(applied, applied.stderr).toMatchObject({ code: 7 })
          expect(applied.stderr).toMatch(/^error PREFLIGHT/m)
          for (const words of [
            'worker-1: nothing listens on 10.77.0.3, port 22 → start sshd there',
            'worker-2: 10.77.0.4 rejects the login of astrago → add the public key',
            'offline-deploy nodes forget worker-3',
            'gpu-1: sudo requires a password → set ssh.sudo: password',
          ])
            expect(applied.stderr).toContain(words)
          const left = await site.control.chroot(['ls', '/opt/site'])
          expect(left.trim().split('\n').sort()).toEqual(
            expect.not.arrayContaining(['deploy', 'tools', 'inventory', 'clients']),
          )
          expect(await site.network.escapeAttempts()).toBe(0)
        } finally {
          listener.kill('SIGKILL')
        }
      },
      patience,
    )

    it(
      'accepts a reinstalled machine after its host key was removed',
      async () => {
        await writeSite({ kubernetes: false })
        const check = () =>
          site.deploy(['nodes', 'check', '--bundle', medium, '--site', '/opt/site', '--limit', 'worker-3'])
        expect(await check()).toMatchObject({ code: 7, stdout: expect.stringContaining('no answer') })
        const forgotten = await site.deploy(['nodes', 'forget', 'worker-3', '--site', '/opt/site'])
        expect(forgotten, forgotten.stderr).toMatchObject({ code: 0 })
        const after = await check()
        expect(after, after.stderr).toMatchObject({ code: 0 })
        expect(after.stdout).toMatch(/^worker-3 +10\.77\.0\.5 +Debian/m)
      },
      patience,
    )

    it(
      'takes the sudo password, and reports a wrong one',
      async () => {
        await writeSite({ kubernetes: false, sudo: 'password' })
        const ask = async (password: string) => {
          const ran = await site.deploy(['preflight', ...where(), '--output', 'json', '--limit', 'gpu-1'], {
            env: { OFFLINE_DEPLOY_SUDO_PASSWORD: password },
          })
          const { findings } = JSON.parse(ran.stdout) as { findings: { level: string; what: string }[] }
          return findings.filter(({ level }) => level === 'error').map(({ what }) => what)
        }
        expect(await ask('secret')).toEqual([])
        expect(await ask("wr0ng; $(touch /tmp/x) '")).toEqual(['sudo rejects the password'])
        expect(await node('gpu-1').chroot(['ls', '/tmp'])).toBe('')
      },
      patience,
    )

    it(
      'watches all machines for attempts to leave, without a bundle',
      async () => {
        await writeSite({ kubernetes: false, sudo: 'password' })
        const watch = async (password: string) =>
          await site.deploy(
            [
              'verify',
              '--cluster',
              '--egress',
              '0.05',
              '--site',
              '/opt/site',
              '--bundle',
              '/gone.tar',
              '-o',
              'json',
            ],
            { env: { OFFLINE_DEPLOY_SUDO_PASSWORD: password } },
          )
        // two of the machines were broken above; the others are watched all the same
        const ran = await watch('secret')
        expect(ran, ran.stderr).toMatchObject({ code: 8 })
        expect(ran.stderr).toContain('2 machines were not watched')
        expect(JSON.parse(ran.stdout)).toMatchObject({
          watched: ['master-1', 'worker-3', 'gpu-1'],
          attempts: [],
          gaps: [
            { node: 'worker-1', what: expect.stringContaining('nothing listens') },
            { node: 'worker-2', what: expect.stringContaining('rejects the login') },
          ],
        })
        const { watched } = JSON.parse((await watch('wrong')).stdout)
        expect(watched).toEqual(['master-1', 'worker-3'])
      },
      patience,
    )

    it(
      'reports a problem of the deployment host once, not for every machine',
      async () => {
        await writeSite({ kubernetes: false })
        const key = join(site.control.root, 'root/.ssh/id_ed25519')
        await run(['chmod', '644', key])
        const { code, findings } = await preflight('--limit', 'master-1', '--registry-port', '80')
        expect(code).toBe(7)
        expect(findings).toContainEqual(
          expect.objectContaining({
            machine: 'this host',
            what: expect.stringContaining('can be read by others'),
          }),
        )
        await run(['chmod', '600', key])
      },
      patience,
    )
  },
)
