import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Ansible, openAnsible } from '../../scripts/lib/kubespray/ansible.ts'
import {
  type ClosedNetwork,
  networkPrograms,
  openClosedNetwork,
} from '../../scripts/lib/machines/closed-network.ts'
import { type ClosedSite, serveInClosedNetwork } from '../../scripts/lib/machines/closed-site.ts'
import { openNode, type SiteNode } from '../../scripts/lib/machines/containerd-node.ts'
import { cacheFolder, home } from '../../scripts/lib/places.ts'
import { isRoot, missingPrograms, run } from '../../scripts/lib/run.ts'
import { debianRoot, debianRootPrograms } from '../../scripts/lib/upstreams/debian-images.ts'
import { readInventory, variablesOf } from '../../src/inventory/read-inventory.ts'
import { airgap } from './lib/airgap.ts'
import { checkExemptions, proxies } from './lib/node-proxies.ts'

const tree = join(home, 'bundle', 'astrago')
const reached = (url: string) =>
  spawnSync('curl', ['--fail', '--silent', '--head', '--max-time', '10', url]).status === 0
const lacking = [
  ...missingPrograms(['curl']),
  ...(reached('https://pypi.org/simple/ansible-lint/') ? [] : ['pypi.org']),
]
const lackingForNode = [
  ...lacking,
  ...(isRoot ? [] : ['root']),
  ...missingPrograms([...networkPrograms, ...debianRootPrograms]),
  ...(reached('http://deb.debian.org/debian/dists/bookworm/InRelease') ? [] : ['deb.debian.org']),
]
const needs = (programs: string[]) => `needs ${programs.join(', ') || 'nothing more'}`
const playbooks = ['site-repositories.yml', 'nodes.yml', 'gpu-driver.yml', 'nfs.yml', 'backup.yml']
const patience = 420_000
const ownNames = `127.0.0.1 localhost ${hostname()}\n::1 localhost ${hostname()}\n`

describe.skipIf(lacking.length > 0)(`the ansible roles (${needs(lacking)})`, () => {
  const resources = new AsyncDisposableStack()
  let work: string
  let ansible: Ansible

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'airgap-ansible-'))
    resources.defer(() => rm(work, { recursive: true, force: true }))
    ansible = await openAnsible(join(import.meta.dirname, 'ansible'), () => {})
  }, patience)
  afterAll(() => resources.disposeAsync())

  const environment = () => ({
    PATH: `${ansible.bin}:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: work,
    ANSIBLE_NOCOLOR: '1',
    ANSIBLE_LOCALHOST_WARNING: 'false',
    LC_ALL: 'C.UTF-8',
  })

  it('run on the machines of an inventory as the conversion reads it', async () => {
    const inventory = join(work, 'before')
    const write = async (name: string, text: string) => {
      await mkdir(join(inventory, name, '..'), { recursive: true })
      await writeFile(join(inventory, name), text)
    }
    await write(
      'hosts.ini',
      `m-1
[kube_node]
w-1:2200 ip="10.0.0.21" # the first
n-[01:05:2] ansible_user='a b'
[kube_node:vars]
ansible_user = "worker"
[all:vars]
ansible_user=ubuntu
[gpu]
w-1
[gpu:vars]
ansible_user=gpu
[k8s_cluster:children]
kube_node
[k8s_cluster:vars]
access_ip=10.0.0.9
`,
    )
    await write('group_vars/kube_node.yml', 'ansible_host: of.file\naccess_ip: 10.0.0.8\n')
    await write('group_vars/all/one.yml', 'ansible_host: of.all\n')
    await write('group_vars/all/two.yml', 'ansible_ssh_user: two\n')
    await write('host_vars/m-1.yml', 'ip: 10.0.0.11\nansible_user: own\n')
    const { stdout } = spawnSync(
      join(ansible.bin, 'ansible-inventory'),
      ['-i', join(inventory, 'hosts.ini'), '--list'],
      { encoding: 'utf8', env: environment() },
    )
    const hostvars = JSON.parse(stdout)._meta.hostvars
    const ours = await readInventory(inventory)
    expect([...ours.hosts.keys()].sort()).toEqual(Object.keys(hostvars).sort())
    for (const host of ours.hosts.values()) {
      const variables = variablesOf(host, ours)
      for (const key of [
        'ansible_host',
        'ansible_user',
        'ansible_ssh_user',
        'ansible_port',
        'ip',
        'access_ip',
      ])
        expect(String(variables.get(key)), `${host.name}: ${key}`).toBe(String(hostvars[host.name][key]))
    }
  })

  it('pass ansible-lint in its strictest profile', async () => {
    // a copy, because ansible-lint inspects the surrounding repository
    const copy = join(work, 'lint')
    await cp(tree, copy, { recursive: true })
    const lint = (args: string[]) =>
      spawnSync(
        join(ansible.bin, 'ansible-lint'),
        ['--offline', '--nocolor', '--profile=production', '-p', ...args],
        { cwd: join(copy, 'ansible'), env: environment(), encoding: 'utf8' },
      )
    const linted = lint([
      ...playbooks,
      'roles/site_ca',
      'roles/offline_repositories',
      'roles/node_packages',
      'roles/containerd_mirrors',
      'roles/nvidia_driver',
      'roles/nfs_server',
    ])
    expect(linted.stderr + linted.stdout).toMatch(/Passed: 0 failure\(s\), 0 warning\(s\) on (3\d|4\d) files/)
    expect(linted.status).toBe(0)
    // counter-check: it does find a mistake
    await writeFile(join(copy, 'ansible', 'bad.yml'), '- hosts: all\n  tasks:\n    - shell: ls\n')
    expect(lint(['bad.yml']).status).not.toBe(0)
  }, 120_000)

  it('are read by ansible with the inventory of the tree', async () => {
    const inventory = join(tree, 'kubespray', 'inventory', 'hosts.yaml')
    for (const playbook of playbooks)
      await run(
        [
          join(ansible.bin, 'ansible-playbook'),
          '-i',
          inventory,
          '--syntax-check',
          join(tree, 'ansible', playbook),
        ],
        { env: environment() },
      )
  }, 60_000)

  describe.skipIf(lackingForNode.length > 0)(
    `on a Debian 12 in a closed network (${needs(lackingForNode)})`,
    () => {
      let network: ClosedNetwork
      let site: ClosedSite
      let node: SiteNode
      let inventory: string
      /** which repository serves each machine */
      let names: string

      beforeAll(async () => {
        const bundle = await build()
        network = resources.use(await openClosedNetwork())
        site = resources.use(
          await serveInClosedNetwork(network, { folder: join(work, 'site'), bundles: [bundle] }),
        )
        await mkdir(join(work, 'node'))
        const rootTar = await debianRoot(cacheFolder)
        node = resources.use(await openNode(network.node, { folder: join(work, 'node'), rootTar }))
        // ansible needs Python on the node, which every installed system has
        const files = ['etc/apt/sources.list.d/airgap-debian-12.sources', 'etc/apt/keyrings/airgap-site.asc']
        await site.putClientFiles(node.root, files)
        await node.chroot(['apt-get', 'update'])
        await node.chroot(['apt-get', 'install', '-y', '--no-install-recommends', 'python3', 'python3-apt'])
        for (const file of files) await rm(join(node.root, file))
        // a machine resolves its own name without DNS
        await writeFile(join(node.root, 'etc/hosts'), ownNames)
        for (const [path, text] of Object.entries({ ...others, ...proxies })) {
          await mkdir(dirname(join(node.root, path)), { recursive: true })
          await writeFile(join(node.root, path), text)
        }
        inventory = join(work, 'inventory', 'hosts.yaml')
        names = join(work, 'inventory', 'repositories.json')
        await mkdir(join(work, 'inventory'))
        const group = { hosts: { [node.root]: {} } }
        await writeFile(
          inventory,
          JSON.stringify({
            all: {
              hosts: { [node.root]: { ansible_connection: 'community.general.chroot' } },
              vars: { http_server: site.http, ansible_python_interpreter: '/usr/bin/python3' },
              children: { k8s_cluster: group, etcd: group, nfs_server: group, gpu_node: group },
            },
          }),
        )
        const key = await run(
          network.node.inside(['curl', '--fail', '--silent', `${site.http}/site-key.asc`]),
        )
        await writeFile(join(work, 'inventory', 'site-key.asc'), key)
        await writeFile(names, JSON.stringify({ [node.root]: 'debian-12' }))
      }, patience)

      /** The connected host: manifest → lock → bundle. */
      async function build(): Promise<string> {
        const manifest = join(work, 'stack.yaml')
        const debian = {
          archive: 'http://deb.debian.org/debian',
          keys: [join(home, 'manifests/keys/debian-archive.asc')],
        }
        const packages = ['python3', 'python3-apt', 'nfs-kernel-server']
        await writeFile(
          manifest,
          JSON.stringify({
            apiVersion: 'airgap/v1',
            name: 'roles',
            version: '1.0.0',
            debs: [{ name: 'debian-12', suite: 'bookworm', ...debian, packages }],
            wheels: [{ name: 'tools', pythons: ['3.11'], packages: ['jmespath==1.0.1'] }],
          }),
        )
        const common = ['-f', manifest, '--cache', join(work, 'cache')]
        expect(await airgap(['lock', ...common])).toMatchObject({ code: 0 })
        const bundle = join(work, 'roles.tar')
        expect(await airgap(['build', ...common, '--frozen', '--out', bundle])).toMatchObject({ code: 0 })
        return bundle
      }

      const others = {
        'etc/apt/sources.list': 'deb http://deb.debian.org/debian bookworm main\n',
        'etc/apt/sources.list.d/vendor.list': 'deb http://vendor.example/apt stable main\n',
      }

      /** Runs a playbook on the node; returns its output and the number of changes. */
      const play = (playbook: string, ...args: string[]) => playFile(join(tree, 'ansible', playbook), ...args)
      async function playFile(playbook: string, ...args: string[]) {
        const command = [join(ansible.bin, 'ansible-playbook'), '-i', inventory, playbook, ...args]
        const said = await run(network.node.inside(command), { env: environment() })
        return { said, changed: Number(/changed=(\d+)/.exec(said)?.[1]) }
      }
      const text = (path: string) => readFile(join(node.root, path), 'utf8')

      it(
        'site-repositories.yml: apt and pip use the site only, and a second run changes nothing',
        async () => {
          expect((await play('site-repositories.yml')).changed).toBeGreaterThan(3)
          const places = await node.chroot(['apt-get', 'indextargets', '--format', '$(SITE)'])
          expect(
            places
              .trim()
              .split('\n')
              .filter(place => !place.startsWith(`${site.http}/debs/`)),
          ).toEqual([])
          expect(await text('etc/apt/sources.list.d/airgap-debian-12.sources')).toMatch(
            /^Signed-By: \/etc\/apt\/keyrings/m,
          )
          expect(await text('etc/pip.conf')).toContain(`${site.http}/pypi/simple/`)
          expect(await text('etc/apt/before-airgap/vendor.list')).toBe(
            others['etc/apt/sources.list.d/vendor.list'],
          )
          expect((await play('site-repositories.yml')).changed).toBe(0)
          // a run that died before it updated the package lists
          await rm(join(node.root, 'var/lib/apt/lists'), { recursive: true })
          expect((await play('site-repositories.yml')).changed).toBe(1)
          await node.chroot(['apt-get', 'install', '--dry-run', 'nfs-kernel-server'])
          expect((await play('site-repositories.yml')).changed).toBe(0)
        },
        patience,
      )

      it(
        'site-repositories.yml: reaches the site without the proxies of the machine, and keeps their exemptions',
        () => checkExemptions(node, { http: site.http, play: playFile, work }),
        patience,
      )

      it(
        'site-repositories.yml: uses the repository that was chosen for the machine, and needs to know it',
        async () => {
          const old = join(node.root, 'etc/apt/sources.list.d/airgap-debian.sources')
          await writeFile(old, 'Types: deb\nURIs: http://other.example/\nSuites: bookworm\n')
          expect((await play('site-repositories.yml')).changed).toBe(1)
          await expect(readFile(old)).rejects.toMatchObject({ code: 'ENOENT' })
          await writeFile(names, '{}')
          await expect(play('site-repositories.yml')).rejects.toThrow(/names no repository for/)
          await rm(names)
          await expect(play('site-repositories.yml')).rejects.toThrow(/names no repository for/)
          const byHand = ['-e', 'offline_repositories_name=debian-12']
          expect((await play('site-repositories.yml', ...byHand)).changed).toBe(0)
          // a bundle without packages
          await writeFile(names, JSON.stringify({ [node.root]: '' }))
          expect((await play('site-repositories.yml')).changed).toBe(0)
          await writeFile(names, JSON.stringify({ [node.root]: 'debian-12' }))
        },
        patience,
      )

      it(
        'nfs.yml: installs the server from the site, and exports one folder',
        async () => {
          await expect(play('nfs.yml')).rejects.toThrow(/nfs_server_networks is empty/)
          const networks = JSON.stringify({ nfs_server_networks: ['10.0.0.0/24', '10.0.1.5'] })
          expect((await play('nfs.yml', '-e', networks)).changed).toBeGreaterThan(2)
          expect(
            await node.chroot(['dpkg-query', '-W', '-f', '${db:Status-Abbrev}', 'nfs-kernel-server']),
          ).toBe('ii ')
          expect((await text('etc/exports.d/astrago.exports')).split('\n')[1]).toBe(
            '/nfs-data/astrago 10.0.0.0/24(rw,sync,no_subtree_check,no_root_squash) 10.0.1.5(rw,sync,no_subtree_check,no_root_squash)',
          )
          expect((await play('nfs.yml', '-e', networks)).changed).toBe(0)
        },
        patience,
      )

      it(
        'gpu-driver.yml: leaves a machine without an NVIDIA device alone',
        async () => {
          const { said, changed } = await play('gpu-driver.yml')
          expect(said).toContain('no NVIDIA device: nothing to do')
          expect(changed).toBe(0)
        },
        patience,
      )

      it(
        'gpu-driver.yml: reports a system for which the bundle has no driver',
        async () => {
          const device = join(node.root, 'sys', 'bus', 'pci', 'devices', '0000:01:00.0')
          await mkdir(device, { recursive: true })
          await writeFile(join(device, 'vendor'), '0x10de\n')
          await writeFile(join(device, 'class'), '0x030200\n')
          await expect(play('gpu-driver.yml')).rejects.toThrow(/there are no driver packages for Debian/)
          // with Secure Boot it stops before it installs anything
          const variables = join(node.root, 'sys', 'firmware', 'efi', 'efivars')
          await mkdir(variables, { recursive: true })
          await writeFile(join(variables, 'SecureBoot-8be4df61'), Buffer.from([6, 0, 0, 0, 1]))
          const asUbuntu = JSON.stringify({ nvidia_driver_system: 'Ubuntu' })
          await expect(play('gpu-driver.yml', '-e', asUbuntu)).rejects.toThrow(/Secure Boot is on/)
          await rm(join(node.root, 'sys', 'firmware'), { recursive: true })
          await expect(play('gpu-driver.yml', '-e', asUbuntu)).rejects.toThrow(
            /linux-headers-.*built for kernel .*airgap lock --site/,
          )
        },
        patience,
      )

      it(
        'refuses the answer of a server that is not the site’s',
        async () => {
          await writeFile(join(node.root, 'etc/hosts'), `${ownNames}${network.site.address} evil.example\n`)
          const other = ['-e', `http_server=http://evil.example:${new URL(site.http).port}`]
          await expect(play('site-repositories.yml', ...other)).rejects.toThrow(
            /the answer is not what this site serves/,
          )
          await expect(play('site-repositories.yml', '-e', 'http_server=')).rejects.toThrow(
            /http_server is not/,
          )
          expect((await play('site-repositories.yml')).changed).toBe(0)
        },
        patience,
      )

      it(
        'restores the package sources that it disabled',
        async () => {
          await play('site-repositories.yml', '-e', 'offline_repositories_state=absent')
          for (const [path, content] of Object.entries(others)) expect(await text(path)).toBe(content)
          for (const path of [
            'etc/apt/sources.list.d/airgap-debian-12.sources',
            'etc/pip.conf',
            'etc/apt/before-airgap',
          ])
            await expect(text(path)).rejects.toMatchObject({ code: 'ENOENT' })
        },
        patience,
      )

      it('send nothing out of the closed network', async () => {
        expect(await network.escapeAttempts()).toBe(0)
      })
    },
  )
})
