import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { defined } from '../../../src/core/defined.ts'
import { run, withSbin } from '../run.ts'
import { debianRoot, debianRootPrograms } from '../upstreams/debian-images.ts'
import { until } from './background-process.ts'
import { bootNode, type Mount } from './boot-node.ts'
import type { NetworkHost } from './closed-network.ts'
import { nodeEnvironment } from './containerd-node.ts'

/**
 * A machine of the site as an installer finds it: Debian 12 with a real sshd, on a host of a closed network. It has namespaces for
 * processes, mounts and host name: it sees no process of the host, and the kernel ends and unmounts all of it with its first process,
 * even when the test is killed. It has no init system unless `systemd` is set. Needs root.
 */
export interface SshNode {
  name: string
  /** IPv4 */
  address: string
  /** the user that may log in */
  user: string
  /** its root file system, as a folder of the host; mounts (/tmp, /run, `mounts`) are visible inside only */
  root: string
  /** public ed25519 key in the form of known_hosts: type and key */
  hostKey: string
  /** wraps a command line so that it runs inside as root; the program is killed when the wrapping process ends */
  inside(command: readonly string[]): string[]
  /** runs a program inside as root and returns its stdout */
  chroot(command: readonly string[], input?: string): Promise<string>
  /** Ends sshd and every connection. Its log is the node's /var/log/sshd.log */
  stopSshd(): Promise<void>
  startSshd(): Promise<void>
  /** Ends every process of the machine and unmounts; the files stay. Never throws; may be called again. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface SshNodeOptions {
  /** host name */
  name: string
  /** is created */
  folder: string
  /** from `debianSshRoot` */
  rootTar: string
  /** a line of authorized_keys */
  authorizedKey: string
  /** UID 1000, may become root by sudo; by default `astrago` */
  user?: string
  /** password of the user, which sudo requires; by default there is none, and sudo requires none */
  sudoPassword?: string
  /** the first process is systemd (of a root that has it), which runs sshd as a service */
  systemd?: boolean
  /** folders and files of the host to mount; a record maps paths in the node to paths of the host */
  mounts?: readonly Mount[] | Readonly<Record<string, string>>
}

/** Programs that `debianSshRoot` and `openSshNode` need, besides root privileges. */
export const sshNodePrograms = [
  ...debianRootPrograms,
  'ssh-keygen',
  'mount',
  'mknod',
  'unshare',
  'nsenter',
  'pivot_root',
] as const

/** Packages that an installed machine has and ansible expects, beyond those that apt needs. */
const included = [
  'openssh-server',
  'openssh-client',
  'python3',
  'python3-apt',
  'sudo',
  'iproute2',
  'procps',
  'kmod',
  'ca-certificates',
]

/** Returns the tar of a Debian 12 root file system with sshd. Making it takes a minute, once; then it comes from the cache. Needs root. */
export async function debianSshRoot(cache: string, { systemd = false } = {}): Promise<string> {
  return await debianRoot(cache, systemd ? [...included, 'systemd-sysv', 'dbus'] : included)
}

export async function openSshNode(network: NetworkHost, options: SshNodeOptions): Promise<SshNode> {
  const { name, user = 'astrago' } = options
  await mkdir(join(options.folder, 'root'), { recursive: true })
  const root = await realpath(join(options.folder, 'root'))
  await run(['tar', '-xf', options.rootTar, '-C', root, '--numeric-owner'])
  await writeFiles(root, { network, name })
  await run(['ssh-keygen', '-A', '-f', root])
  const machine = await bootNode(root, { network, ...options })
  const close = () => machine.end()
  try {
    const inside = (command: readonly string[]) => [
      'nsenter',
      `--target=${machine.pid}`,
      '--mount',
      '--uts',
      '--ipc',
      '--net',
      '--pid',
      '--',
      'setpriv',
      '--pdeathsig',
      'KILL',
      '--',
      ...command,
    ]
    const chroot = (command: readonly string[], input?: string) =>
      run(inside(command), { env: nodeEnvironment, ...defined({ input }) })
    const stopSshd = async () => {
      if (options.systemd) return void (await chroot(['systemctl', 'stop', 'ssh']))
      // pkill sees the node's processes only; exit code 1: there were none
      await chroot(['sh', '-c', 'pkill -KILL -x sshd; [ $? -le 1 ]'])
      await until(() => chroot(['sh', '-c', '! pgrep -x sshd']), {
        what: `the end of sshd of ${name}`,
        withinMs: 5000,
      })
    }
    const startSshd = async () => {
      if (options.systemd) {
        const what = `systemd of ${name}`
        await until(() => chroot(['systemctl', 'start', 'ssh']), { what, withinMs: 30_000 })
      } else {
        const log = await open(join(root, 'var/log/sshd.log'), 'a')
        const [program, ...args] = inside(['/usr/sbin/sshd', '-D', '-e'])
        spawn(program!, args, { stdio: ['ignore', 'ignore', log.fd], env: withSbin(nodeEnvironment) })
        await log.close()
      }
      const greeting = 'exec 3<>/dev/tcp/127.0.0.1/22; head -c 4 <&3'
      await until(() => chroot(['timeout', '2', 'bash', '-c', greeting]), {
        what: `sshd of ${name}`,
        withinMs: 15_000,
      })
    }
    if (options.systemd) await listModulesAsBuiltIn(root, chroot)
    await addUser(root, { chroot, user, ...options })
    const publicKey = await readFile(join(root, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8')
    await startSshd()
    return {
      name,
      address: network.address,
      user,
      root,
      hostKey: publicKey.split(' ').slice(0, 2).join(' '),
      inside,
      chroot,
      stopSshd,
      startSshd,
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Configures what an installed machine has; apt must not use the archive that the root was made from. */
async function writeFiles(root: string, host: { network: NetworkHost; name: string }): Promise<void> {
  const { network, name } = host
  for (const path of ['sources.list', 'sources.list.d'])
    await rm(join(root, 'etc/apt', path), { recursive: true, force: true })
  await mkdir(join(root, 'etc/apt/sources.list.d'))
  // the package generated keys, which all roots of this tar would share
  for (const file of await readdir(join(root, 'etc/ssh')))
    if (file.startsWith('ssh_host_')) await rm(join(root, 'etc/ssh', file))
  const hosts = [
    '127.0.0.1 localhost',
    '::1 localhost ip6-localhost ip6-loopback',
    `${network.address} ${name}`,
  ]
  const files = {
    'etc/hostname': `${name}\n`,
    'etc/hosts': `${hosts.join('\n')}\n`,
    'etc/resolv.conf': await readFile(network.resolvConf, 'utf8'),
    'etc/machine-id': `${randomBytes(16).toString('hex')}\n`,
  }
  for (const [path, text] of Object.entries(files)) {
    // a link would lead out of the root
    await rm(join(root, path), { force: true })
    await writeFile(join(root, path), text)
  }
}

const noModulesLoaded = `import builtins
import os

_open = builtins.open


def _open_with_modules(file, *args, **kwargs):
    return _open(os.devnull if file == "/proc/modules" else file, *args, **kwargs)


if not os.path.exists("/proc/modules"):
    builtins.open = _open_with_modules
`

/** Lists the modules that a cluster loads as built in: this kernel has no modules to load, and modprobe would fail. */
async function listModulesAsBuiltIn(root: string, chroot: SshNode['chroot']): Promise<void> {
  const folder = join('/lib/modules', release())
  const modules = ['fs/overlayfs/overlay', 'net/bridge/br_netfilter', 'net/netfilter/nf_conntrack']
  await mkdir(join(root, folder), { recursive: true })
  await writeFile(join(root, folder, 'modules.order'), '')
  await writeFile(
    join(root, folder, 'modules.builtin'),
    modules.map(module => `kernel/${module}.ko\n`).join(''),
  )
  await chroot(['depmod'])
  // ansible's module reads /proc/modules, which a kernel without modules lacks; Debian's python3 runs this file at every start
  await writeFile(join(root, 'etc/python3.11/sitecustomize.py'), noModulesLoaded)
}

async function addUser(
  root: string,
  options: {
    chroot: SshNode['chroot']
    user: string
    authorizedKey: string
    sudoPassword?: string
  },
): Promise<void> {
  const { chroot, user, sudoPassword } = options
  await chroot(['useradd', '--create-home', '--uid', '1000', '--user-group', '--shell', '/bin/bash', user])
  if (sudoPassword !== undefined) await chroot(['chpasswd'], `${user}:${sudoPassword}\n`)
  const rights = sudoPassword === undefined ? 'NOPASSWD: ALL' : 'ALL'
  await writeFile(join(root, 'etc/sudoers.d', user), `${user} ALL=(ALL:ALL) ${rights}\n`, { mode: 0o440 })
  const folder = join('/home', user, '.ssh')
  await mkdir(join(root, folder), { mode: 0o700 })
  await writeFile(join(root, folder, 'authorized_keys'), `${options.authorizedKey.trim()}\n`, { mode: 0o600 })
  await chroot(['chown', '-R', `${user}:${user}`, folder])
}
