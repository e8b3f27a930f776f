import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { NetworkHost } from './closed-network.ts'
import { ended, nodeEnvironment, unmountBelow, until } from './node.ts'
import { run, withSbin } from './run.ts'

/** A machine of the site: a Debian 12 root of its own with a real sshd, in a namespace of a closed network. Root only. */
export interface SshNode {
  name: string
  address: string
  /** the root file system, as a folder of this machine */
  root: string
  /** public host key, as known_hosts has it: type and key */
  hostKey(): Promise<string>
  /** a command line that runs inside the root, in its network and under its host name */
  inside(command: readonly string[]): string[]
  /** runs a program inside the root and gives its stdout */
  chroot(command: readonly string[], input?: string): Promise<string>
  startSshd(): Promise<void>
  stopSshd(): Promise<void>
  /** Ends every process whose root it is, and unmounts; may be called again. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** What `openSshNode` needs, besides root. */
export const sshNodePrograms = ['mmdebstrap', 'mount', 'umount', 'unshare', 'tar', 'ssh-keygen'] as const

// what an installed machine has, and ansible expects
const included = 'openssh-server openssh-client python3 python3-apt sudo iproute2 procps ca-certificates kmod'

/** A Debian 12 root file system with sshd, as a tar: made once, a minute, then kept in the cache. Root only. */
export async function debianSshRoot(cache: string): Promise<string> {
  const tar = join(cache, 'debian-12-ssh-2.tar')
  if (existsSync(tar)) return tar
  await mkdir(cache, { recursive: true })
  const part = join(cache, `part-${process.pid}.tar`)
  try {
    const include = `--include=${included.replaceAll(' ', ',')}`
    await run([
      ...['mmdebstrap', '--quiet', '--variant=apt', '--architectures=amd64', include],
      ...['bookworm', part, 'http://deb.debian.org/debian'],
    ])
    await rename(part, tar)
  } finally {
    await rm(part, { force: true })
  }
  return tar
}

export interface SshNodeOptions {
  name: string
  /** is made */
  folder: string
  rootTar: string
  /** who may log in as `astrago` */
  authorizedKey: string
  /** asked for by sudo; without it sudo asks for none */
  sudoPassword?: string
  /** folders of this machine, by where they are seen in the root */
  mounts?: Readonly<Record<string, string>>
}

export async function openSshNode(network: NetworkHost, options: SshNodeOptions): Promise<SshNode> {
  const { name, folder } = options
  const root = join(folder, 'root')
  const inside = (command: readonly string[]) =>
    network.inside([
      ...['unshare', '--uts', 'sh', '-c', 'hostname "$1"; root=$2; shift 2; exec chroot "$root" "$@"', 'sh'],
      ...[name, root, ...command],
    ])
  const chroot = (command: readonly string[], input?: string) =>
    run(inside(command), { env: nodeEnvironment, ...(input === undefined ? {} : { input }) })
  let sshd: ChildProcess | undefined
  const close = async () => {
    await ended(sshd)
    await killBelow(root)
    await unmountBelow(folder)
  }
  await mkdir(root, { recursive: true })
  try {
    await run(['tar', '-xf', options.rootTar, '-C', root, '--numeric-owner'])
    await mountAll(root, options.mounts ?? {})
    await layFiles(root, { network, name })
    await chroot(['useradd', '--create-home', '--shell', '/bin/bash', '--password', '*', 'astrago'])
    if (options.sudoPassword !== undefined) await chroot(['chpasswd'], `astrago:${options.sudoPassword}\n`)
    const sudo = options.sudoPassword === undefined ? 'NOPASSWD: ALL' : 'ALL'
    await writeFile(join(root, 'etc/sudoers.d/astrago'), `astrago ALL=(ALL) ${sudo}\n`, { mode: 0o440 })
    await mkdir(join(root, 'home/astrago/.ssh'), { mode: 0o700 })
    await writeFile(join(root, 'home/astrago/.ssh/authorized_keys'), `${options.authorizedKey}\n`)
    await chroot(['chown', '-R', 'astrago:astrago', '/home/astrago/.ssh'])
    // keys of its own, not those that all roots from one tar share
    await rm(join(root, 'etc/ssh'), { recursive: true, force: true })
    await mkdir(join(root, 'etc/ssh'), { recursive: true })
    await writeFile(join(root, 'etc/ssh/sshd_config'), sshdConfig)
    await chroot(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', '/etc/ssh/ssh_host_ed25519_key'])
  } catch (error) {
    await close()
    throw error
  }
  const node: SshNode = {
    name,
    address: network.address,
    root,
    inside,
    chroot,
    async hostKey() {
      const text = await readFile(join(root, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8')
      return text.split(' ').slice(0, 2).join(' ')
    },
    async startSshd() {
      const [program, ...args] = inside(['/usr/sbin/sshd', '-D', '-e'])
      sshd = spawn(program!, args, { stdio: 'ignore', env: withSbin() })
      const greeting = 'exec 3<>/dev/tcp/127.0.0.1/22; head -c 4 <&3'
      await until(() => run(network.inside(['timeout', '2', 'bash', '-c', greeting])), {
        what: `sshd of ${name}`,
        withinMs: 15_000,
      })
    },
    async stopSshd() {
      await ended(sshd)
      // connections that are open have processes of their own
      await killBelow(root, 'sshd')
    },
    close,
    [Symbol.asyncDispose]: close,
  }
  try {
    await node.startSshd()
  } catch (error) {
    await close()
    throw error
  }
  return node
}

const sshdConfig = `HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication yes
PermitRootLogin no
UseDNS no
UsePAM no
Subsystem sftp /usr/lib/openssh/sftp-server
`

async function mountAll(root: string, mounts: Readonly<Record<string, string>>): Promise<void> {
  await run(['mount', '-t', 'proc', 'proc', join(root, 'proc')])
  for (const path of ['tmp', 'run', 'dev']) await run(['mount', '-t', 'tmpfs', 'tmpfs', join(root, path)])
  await chmod(join(root, 'tmp'), 0o1777)
  for (const [device, minor] of Object.entries({ null: 3, zero: 5, full: 7, random: 8, urandom: 9 }))
    await run(['mknod', '-m', '666', join(root, 'dev', device), 'c', '1', `${minor}`])
  await run(['mknod', '-m', '666', join(root, 'dev/tty'), 'c', '5', '0'])
  await mkdir(join(root, 'dev/pts'))
  await run(['mount', '-t', 'devpts', '-o', 'newinstance,ptmxmode=0666', 'devpts', join(root, 'dev/pts')])
  await run(['ln', '-s', 'pts/ptmx', join(root, 'dev/ptmx')])
  await run(['ln', '-s', '/proc/self/fd', join(root, 'dev/fd')])
  await mkdir(join(root, 'dev/shm'), { mode: 0o1777 })
  await mkdir(join(root, 'run/sshd'), { mode: 0o755 })
  for (const [to, from] of Object.entries(mounts)) {
    await mkdir(join(root, to), { recursive: true })
    await run(['mount', '--bind', from, join(root, to)])
  }
}

/** What an installed machine knows of itself; where its root came from must not be asked. */
async function layFiles(
  root: string,
  { network, name }: { network: NetworkHost; name: string },
): Promise<void> {
  for (const path of ['sources.list', 'sources.list.d'])
    await rm(join(root, 'etc/apt', path), { recursive: true, force: true })
  await mkdir(join(root, 'etc/apt/sources.list.d'))
  await writeFile(join(root, 'etc/hostname'), `${name}\n`)
  await writeFile(join(root, 'etc/hosts'), `127.0.0.1 localhost\n::1 localhost\n${network.address} ${name}\n`)
  await writeFile(join(root, 'etc/resolv.conf'), await readFile(network.resolvConf, 'utf8'))
  await writeFile(
    join(root, 'etc/machine-id'),
    `${Buffer.from(name.padEnd(16)).toString('hex').slice(0, 32)}\n`,
  )
}

/** Ends processes that run inside, sshd's children and what they started. */
async function killBelow(root: string, name?: string): Promise<void> {
  for (const pid of (await readdir('/proc')).filter(entry => /^\d+$/.test(entry))) {
    const at = await readlink(`/proc/${pid}/root`).catch(() => '')
    if (at !== root) continue
    const command = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
    if (name !== undefined && command.trim() !== name) continue
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // it ended by itself
    }
  }
}
