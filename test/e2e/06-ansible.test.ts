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
import { airgap } from './lib/airgap.ts'
import { checkInventoryReading } from './lib/inventory-reading.ts'
import { checkNoTrust, checkTrust } from './lib/node-ca.ts'
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
    await checkInventoryReading({ work, program: join(ansible.bin, 'ansible-inventory'), env: environment() })
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
      /** the same without TLS */
      let plain: ClosedSite
      let node: SiteNode
      let inventory: string
      /** which repository serves each machine */
      let names: string

      beforeAll(async () => {
        const bundle = await build()
        network = resources.use(await openClosedNetwork())
        site = resources.use(
          await serveInClosedNetwork(network, { folder: join(work, 'site'), bundles: [bundle], tls: true }),
        )
        plain = resources.use(
          await serveInClosedNetwork(network, {
            folder: join(work, 'plain'),
            bundles: [bundle],
            ports: [35_001, 8081],
          }),
        )
        await mkdir(join(work, 'node'))
        const rootTar = await debianRoot(cacheFolder)
        node = resources.use(await openNode(network.node, { folder: join(work, 'node'), rootTar }))
        // ansible needs Python on the node, which every installed system has
        const files = ['etc/apt/sources.list.d/airgap-debian-12.sources', 'etc/apt/keyrings/airgap-site.asc']
        await plain.putClientFiles(node.root, files)
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
              vars: {
                http_server: site.http,
                registry_host: registry(),
                ansible_python_interpreter: '/usr/bin/python3',
              },
              children: { k8s_cluster: group, etcd: group, nfs_server: group, gpu_node: group },
            },
          }),
        )
        await installKeys(site)
        await writeFile(names, JSON.stringify({ [node.root]: 'debian-12' }))
      }, patience)

      const registry = () => `${new URL(site.http).hostname}:35000`
      /** What `offline-deploy` writes beside the inventory. */
      async function installKeys({ clientFile }: ClosedSite): Promise<void> {
        const at = (name: string) => join(work, 'inventory', name)
        await writeFile(at('site-key.asc'), await clientFile('etc/apt/keyrings/airgap-site.asc'))
        const ca = await clientFile('ca.crt').catch(() => undefined)
        if (ca !== undefined) await writeFile(at('site-ca.crt'), ca)
      }

      /** The connected host: manifest → lock → bundle. */
      async function build(): Promise<string> {
        const manifest = join(work, 'stack.yaml')
        const debian = {
          archive: 'http://deb.debian.org/debian',
          keys: [join(home, 'manifests/keys/debian-archive.asc')],
        }
        const packages = ['python3', 'python3-apt', 'nfs-kernel-server', 'ca-certificates', 'curl']
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
        'site-repositories.yml: programs of the node trust the CA of the site, and no other server’s',
        async () => {
          await checkTrust({
            site,
            node,
            work,
            play,
            registry: registry(),
            installKeys: () => installKeys(site),
          })
        },
        patience,
      )

      it(
        'site-repositories.yml: with plain HTTP, the node has no CA and no setting of one',
        async () => {
          await installKeys(plain)
          await play('site-repositories.yml', '-e', `http_server=${plain.http}`)
          await checkNoTrust({ node, work, registry: registry() })
          await installKeys(site)
          await play('site-repositories.yml')
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
          const other = ['-e', `http_server=http://evil.example:${new URL(plain.http).port}`]
          await expect(play('site-repositories.yml', ...other)).rejects.toThrow(
            /the answer is not what this site serves/,
          )
          await expect(play('site-repositories.yml', '-e', 'http_server=')).rejects.toThrow(
            /http_server is not/,
          )
          // it was plain HTTP, for which nodes need no CA
          await play('site-repositories.yml')
          expect((await play('site-repositories.yml')).changed).toBe(0)
          const secured = ['-e', `http_server=https://evil.example:${new URL(site.http).port}`]
          await expect(play('site-repositories.yml', ...secured)).rejects.toThrow(
            /certificate verify failed/i,
          )
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
