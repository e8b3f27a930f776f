import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError } from '../../src/core/errors.ts'
import type { NetworkHost } from './closed-network.ts'
import { debianRoot, debianRootPrograms } from './debian-images.ts'
import { nodeEnvironment, until } from './node.ts'
import { run, withSbin } from './run.ts'

/**
 * A machine of the site as an installer meets it: a Debian 12 with a real sshd, on a host of a closed network. Its processes,
 * mounts and host name are its own (namespaces): it sees no process of this machine, and the kernel ends and unmounts all of it with
 * its first process, even when the test is killed. It has no init system. Root only.
 */
export interface SshNode {
  name: string
  /** IPv4 */
  address: string
  /** the one who may log in */
  user: string
  /** its root file system, as a folder of this machine; what is mounted in it (/tmp, /run, `mounts`) is seen inside only */
  root: string
  /** public ed25519 key as known_hosts has it: type and key */
  hostKey: string
  /** a command line that runs in it as its root; the program is killed when the process of that command line ends */
  inside(command: readonly string[]): string[]
  /** runs a program in it as its root and gives its stdout */
  chroot(command: readonly string[], input?: string): Promise<string>
  /** Ends sshd, and every connection. What it says is in the node's /var/log/sshd.log */
  stopSshd(): Promise<void>
  startSshd(): Promise<void>
  /** Ends every process in it and unmounts; the files stay. Never throws; may be called again. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface SshNodeOptions {
  /** its host name */
  name: string
  /** is made */
  folder: string
  /** of `debianSshRoot` */
  rootTar: string
  /** a line of authorized_keys */
  authorizedKey: string
  /** uid 1000, may become root by sudo; `astrago` without it */
  user?: string
  /** the user's; sudo asks for it. Without it the user has none, and sudo asks for nothing */
  sudoPassword?: string
  /** folders and files of this machine, and where they are in the node; or as a record: from, by to */
  mounts?: readonly Mount[] | Readonly<Record<string, string>>
}

interface Mount {
  from: string
  to: string
  readonly?: boolean
}

/** What `debianSshRoot` and `openSshNode` need, besides root. */
export const sshNodePrograms = [
  ...debianRootPrograms,
  'mount',
  'mknod',
  'unshare',
  'nsenter',
  'pivot_root',
] as const

/** Beyond what apt itself needs: what an installed machine has, and ansible expects. */
const included = [
  ...['openssh-server', 'openssh-client', 'python3', 'python3-apt', 'sudo'],
  ...['iproute2', 'procps', 'kmod', 'ca-certificates'],
]

/** A Debian 12 root file system with sshd, as a tar: made once, a minute, then kept in the cache. Root only. */
export async function debianSshRoot(cache: string): Promise<string> {
  return await debianRoot(cache, included)
}

export async function openSshNode(network: NetworkHost, options: SshNodeOptions): Promise<SshNode> {
  const { name, user = 'astrago' } = options
  await mkdir(join(options.folder, 'root'), { recursive: true })
  const root = await realpath(join(options.folder, 'root'))
  await run(['tar', '-xf', options.rootTar, '-C', root, '--numeric-owner'])
  await writeFiles(root, { network, name })
  const machine = await boot(root, { network, ...options })
  const close = () => machine.end()
  try {
    const inside = (command: readonly string[]) => [
      ...['nsenter', `--target=${machine.pid}`, '--mount', '--uts', '--ipc', '--net', '--pid', '--'],
      ...['setpriv', '--pdeathsig', 'KILL', '--', ...command],
    ]
    const chroot = (command: readonly string[], input?: string) =>
      run(inside(command), { env: nodeEnvironment, ...(input === undefined ? {} : { input }) })
    const stopSshd = async () => {
      // pkill sees the node's processes only; 1: there were none
      await chroot(['sh', '-c', 'pkill -KILL -x sshd; [ $? -le 1 ]'])
      await until(() => chroot(['sh', '-c', '! pgrep -x sshd']), {
        what: `the end of sshd of ${name}`,
        withinMs: 5000,
      })
    }
    const startSshd = async () => {
      const log = await open(join(root, 'var/log/sshd.log'), 'a')
      const [program, ...args] = inside(['/usr/sbin/sshd', '-D', '-e'])
      spawn(program!, args, { stdio: ['ignore', 'ignore', log.fd], env: withSbin(nodeEnvironment) })
      await log.close()
      const greeting = 'exec 3<>/dev/tcp/127.0.0.1/22; head -c 4 <&3'
      await until(() => chroot(['timeout', '2', 'bash', '-c', greeting]), {
        what: `sshd of ${name}`,
        withinMs: 15_000,
      })
    }
    await addUser(root, { chroot, user, ...options })
    await chroot(['ssh-keygen', '-A'])
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

/** What an installed machine knows of itself; where its root came from must not be asked. */
async function writeFiles(root: string, host: { network: NetworkHost; name: string }): Promise<void> {
  const { network, name } = host
  for (const path of ['sources.list', 'sources.list.d'])
    await rm(join(root, 'etc/apt', path), { recursive: true, force: true })
  await mkdir(join(root, 'etc/apt/sources.list.d'))
  // the package made keys, which all roots of this tar would share
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

/**
 * The first process of a node: mounts, in a mount namespace of its own, takes the root for its own, says that it is ready and
 * waits for the end of its input, as `init` for the processes that lose their parents.
 */
const init = `set -e
root=$1 name=$2
shift 2
hostname "$name"
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --bind /sys sys
mount -o remount,bind,ro sys
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/\${device%:*}" c 1 "\${device#*:}"; done
mknod -m 666 dev/tty c 5 0
mkdir -m 755 dev/pts run/sshd run/lock
mkdir -m 1777 dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,gid=5,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
while [ $# -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p "./$2"; else mkdir -p "$(dirname "./$2")"; touch "./$2"; fi
  mount --bind "$1" "./$2"
  if [ "$3" = ro ]; then mount -o remount,bind,ro "./$2"; fi
  shift 3
done
pivot_root . mnt
exec chroot . /bin/sh -c 'cd /; umount -l /mnt; echo ready; cat >/dev/null; exit 0'
`

interface Machine {
  /** of its first process, as this machine counts */
  pid: number
  end(): Promise<void>
}

async function boot(
  root: string,
  options: { network: NetworkHost; name: string; mounts?: SshNodeOptions['mounts'] },
): Promise<Machine> {
  const { network, name } = options
  const mounts = mountList(options.mounts ?? [])
  for (const { from } of mounts) await stat(from)
  const [program, ...args] = network.inside([
    ...['unshare', '--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child', 'sh', '-c', init, 'sh'],
    ...[root, name],
    ...mounts.flatMap(({ from, to, readonly = false }) => [from, to, readonly ? 'ro' : 'rw']),
  ])
  const child = spawn(program!, args, { env: withSbin() })
  // the kernel ends all processes of the node before it lets the first go
  const ended = new Promise<void>(done => child.once('close', () => done()).once('error', () => done()))
  const end = async () => {
    child.stdin.end()
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
    await ended
    clearTimeout(timer)
  }
  try {
    await ready(child, name)
    const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    return { pid: Number(children.trim()), end }
  } catch (error) {
    await end()
    throw error
  }
}

function mountList(mounts: NonNullable<SshNodeOptions['mounts']>): readonly Mount[] {
  if (Array.isArray(mounts)) return mounts
  return Object.entries(mounts).map(([to, from]) => ({ from, to }))
}

async function ready(child: ChildProcess, name: string): Promise<void> {
  let said = ''
  await new Promise<void>((go, fail) => {
    child.stdin?.on('error', () => undefined)
    child.stderr?.setEncoding('utf8').on('data', text => {
      said += text
    })
    child.stdout?.setEncoding('utf8').on('data', () => go())
    child.once('error', fail)
    child.once('close', () =>
      fail(
        new AirgapError('STEP_FAILED', `a node does not start:\n${said.trim()}`, {
          item: name,
          likely: 'this machine does not allow namespaces or mounts',
          next: 'read what it said, above',
        }),
      ),
    )
  })
}
