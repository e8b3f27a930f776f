import { spawn, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ClosedNetwork,
  networkPrograms,
  openClosedNetwork,
} from '../../scripts/lib/machines/closed-network.ts'
import {
  debianSshRoot,
  openSshNode,
  type SshNode,
  sshNodePrograms,
} from '../../scripts/lib/machines/ssh-node.ts'
import { cacheFolder } from '../../scripts/lib/places.ts'
import { isRoot, missingPrograms, run } from '../../scripts/lib/run.ts'

const reached = (url: string) =>
  spawnSync('curl', ['--fail', '--silent', '--head', '--max-time', '10', url]).status === 0
const lacking = [
  ...(isRoot ? [] : ['root']),
  ...missingPrograms(['curl', 'ssh-keygen', ...networkPrograms, ...sshNodePrograms]),
  ...(reached('http://deb.debian.org/debian/dists/bookworm/InRelease') ? [] : ['deb.debian.org']),
]
const patience = 420_000
const password = 'correct horse'

describe.skipIf(lacking.length > 0)(
  `a site and three nodes with sshd in a closed network (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let work: string
    let network: ClosedNetwork
    let site: SshNode
    let nodes: SshNode[]

    beforeAll(async () => {
      work = await mkdtemp(join(tmpdir(), 'airgap-ssh-nodes-'))
      resources.defer(() => rm(work, { recursive: true, force: true }))
      const rootTar = await debianSshRoot(cacheFolder)
      const keys = join(work, 'keys')
      await mkdir(keys)
      for (const name of ['key', 'wrong'])
        await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(keys, name)])
      const authorizedKey = await readFile(join(keys, 'key.pub'), 'utf8')
      network = resources.use(await openClosedNetwork({ nodes: 3 }))
      nodes = []
      for (const [i, host] of network.nodes.entries()) {
        const name = `node-${i + 1}`
        const sudo = i === 2 ? { sudoPassword: password } : {}
        const folder = join(work, name)
        nodes.push(resources.use(await openSshNode(host, { folder, rootTar, name, authorizedKey, ...sudo })))
      }
      await writeFile(join(keys, 'known_hosts'), nodes.map(n => `${n.address} ${n.hostKey}\n`).join(''))
      await mkdir(join(work, 'out'))
      site = resources.use(
        await openSshNode(network.site, {
          folder: join(work, 'site'),
          rootTar,
          name: 'site',
          authorizedKey,
          mounts: [
            { from: keys, to: '/keys', readonly: true },
            { from: join(work, 'out'), to: '/var/out' },
          ],
        }),
      )
    }, patience)
    afterAll(() => resources.disposeAsync())

    const sshTo = (node: SshNode, command: string, key = 'key') => [
      'ssh',
      '-i',
      `/keys/${key}`,
      '-o',
      'UserKnownHostsFile=/keys/known_hosts',
      '-o',
      'StrictHostKeyChecking=yes',
      '-o',
      'BatchMode=yes',
      '-o',
      'ConnectTimeout=5',
      `${node.user}@${node.address}`,
      command,
    ]
    /** Output of a command on a node, run over SSH from the site. */
    const onNode = (node: SshNode, command: string, key?: string) => site.chroot(sshTo(node, command, key))

    it('has four hosts in one network', () => {
      expect([site, ...nodes].map(({ name, address }) => [name, address])).toEqual([
        ['site', '10.77.0.1'],
        ['node-1', '10.77.0.2'],
        ['node-2', '10.77.0.3'],
        ['node-3', '10.77.0.4'],
      ])
      expect(network.nodes[0]).toBe(network.node)
    })

    it('accepts the site’s key, and lets its user become root', async () => {
      for (const node of nodes.slice(0, 2)) expect(await onNode(node, 'sudo -n id -u')).toBe('0\n')
      expect(await onNode(nodes[2]!, 'id -un')).toBe('astrago\n')
    })

    it('requires a password for sudo where one is set', async () => {
      await expect(onNode(nodes[2]!, 'sudo -n id -u')).rejects.toThrow('password is required')
      await expect(onNode(nodes[2]!, "echo wrong | sudo -S -p '' id -u")).rejects.toThrow(
        'incorrect password',
      )
      expect(await onNode(nodes[2]!, `echo '${password}' | sudo -S -p '' id -u`)).toBe('0\n')
    })

    it('refuses another key, and a node with an unknown host key', async () => {
      await expect(onNode(nodes[0]!, 'true', 'wrong')).rejects.toThrow('Permission denied')
      expect(new Set([site, ...nodes].map(node => node.hostKey)).size).toBe(4)
      const mixedUp = { ...nodes[0]!, address: nodes[1]!.address }
      await writeFile(join(work, 'out', 'known_hosts'), `${nodes[1]!.address} ${nodes[0]!.hostKey}\n`)
      const command = sshTo(mixedUp, 'true').map(word => word.replace('/keys/known', '/var/out/known'))
      await expect(site.chroot(command)).rejects.toThrow('Host key verification failed')
    })

    it('makes machines with distinct names and identities, each with its own terminals', async () => {
      const ids: string[] = []
      for (const node of nodes) {
        expect(await onNode(node, 'hostname; cat /etc/hostname; getent ahostsv4 "$(hostname)"')).toMatch(
          new RegExp(`^${node.name}\n${node.name}\n${node.address} +STREAM ${node.name}\n`),
        )
        ids.push(await onNode(node, 'cat /etc/machine-id'))
      }
      expect(new Set(ids).size).toBe(3)
      const withTerminal = sshTo(nodes[0]!, 'sudo -n tty').toSpliced(1, 0, '-tt')
      expect(await site.chroot(withTerminal)).toContain('/dev/pts/')
    })

    it('lets every node reach every other, and hides the processes of the host', async () => {
      for (const from of nodes)
        for (const to of nodes) {
          const greeting = `exec 3<>/dev/tcp/${to.address}/22; head -c 7 <&3`
          expect(await onNode(from, `timeout 5 bash -c '${greeting}'`)).toBe('SSH-2.0')
        }
      const seen = await onNode(nodes[0]!, 'ps -e -o comm=')
      expect(seen).toContain('sshd')
      expect(seen).not.toContain('node')
    })

    it('has no package sources', async () => {
      expect(await onNode(nodes[0]!, 'apt-get indextargets')).toBe('')
    })

    it('mounts folders of the host, read-only where requested', async () => {
      await site.chroot(['sh', '-c', 'echo from inside >/var/out/text'])
      expect(await readFile(join(work, 'out', 'text'), 'utf8')).toBe('from inside\n')
      await expect(site.chroot(['touch', '/keys/new'])).rejects.toThrow('Read-only file system')
    })

    it('kills a program together with the process that runs it', async () => {
      const [program, ...args] = site.inside(['sleep', '4243'])
      const child = spawn(program!, args, { stdio: 'ignore' })
      const there = () => site.chroot(['sh', '-c', 'pgrep -fx "sleep 4243" || true'])
      await expect.poll(there).not.toBe('')
      child.kill('SIGKILL')
      await expect.poll(there).toBe('')
    })

    it('stops sshd with its connections, and starts it again', async () => {
      const node = nodes[1]!
      const [program, ...args] = site.inside(sshTo(node, 'echo there; sleep 600'))
      const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'ignore'] })
      const ended = new Promise(done => child.once('close', done))
      await new Promise(there => child.stdout.once('data', there))
      await node.stopSshd()
      expect(await ended).toBe(255)
      await expect(onNode(node, 'true')).rejects.toThrow('Connection refused')
      await node.stopSshd()
      await node.startSshd()
      expect(await onNode(node, 'hostname')).toBe('node-2\n')
    })

    it('has counted none of that traffic, and counts a DNS lookup', async () => {
      expect(await network.escapeAttempts()).toBe(0)
      await onNode(nodes[2]!, 'getent hosts example.com || true')
      expect(await network.escapeAttempts()).toBeGreaterThan(0)
    })

    it('leaves nothing behind when it is closed, whatever runs in it', async () => {
      // a process in a session of its own, like a daemon
      await onNode(nodes[0]!, 'sudo -n setsid sh -c "mount -t tmpfs x /mnt; sleep 4242 >/dev/null 2>&1 &"')
      const all = [site, ...nodes]
      const inode = (node: SshNode) => node.chroot(['readlink', '/proc/self/ns/net'])
      const networks = await Promise.all(all.map(async node => (await inode(node)).trim()))
      expect(await processesOf(networks)).toContain('sleep')
      for (const node of all) {
        await node.close()
        await node.close()
      }
      expect(await processesOf(networks)).toEqual([])
      await network.close()
      const namespaces = [network.site, ...network.nodes].map(({ namespace }) => namespace)
      const left = await run(['ip', 'netns', 'list'])
      for (const namespace of namespaces) expect(left).not.toContain(namespace)
      expect(left).not.toContain(namespaces[0]!.replace('-site', ''))
      expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(work)
      // mounted folders of the host are untouched
      expect(await readdir(join(work, 'out'))).toContain('text')
    })
  },
)

describe.skipIf(lacking.length > 0)(
  `a node that cannot be opened (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    it(
      'leaves no process and no mount behind',
      async () => {
        const work = await mkdtemp(join(tmpdir(), 'airgap-ssh-nodes-'))
        await using resources = new AsyncDisposableStack()
        resources.defer(() => rm(work, { recursive: true, force: true }))
        const rootTar = await debianSshRoot(cacheFolder)
        const network = resources.use(await openClosedNetwork())
        const options = { folder: join(work, 'node'), rootTar, name: 'node-1', authorizedKey: '' }
        // the first process fails, then a program in the node
        for (const wrong of [{ mounts: [{ from: work, to: '/etc/passwd' }] }, { user: 'root' }])
          await expect(openSshNode(network.node, { ...options, ...wrong })).rejects.toMatchObject({
            code: 'STEP_FAILED',
          })
        expect(await run(['ip', 'netns', 'pids', network.node.namespace])).toBe('')
        expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(work)
      },
      patience,
    )
  },
)

/** Names of the host's processes that are in any of these network namespaces. */
async function processesOf(networks: string[]): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter(name => /^\d+$/.test(name))) {
    const at = await readlink(`/proc/${pid}/ns/net`).catch(() => '')
    if (networks.includes(at))
      found.push((await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim())
  }
  return found
}
