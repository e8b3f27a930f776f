import { type ChildProcess, spawn } from 'node:child_process'
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fromSystemError } from '../../../src/core/errors.ts'
import { run, withSbin } from '../run.ts'
import { ended, until } from './background-process.ts'
import type { NetworkHost } from './closed-network.ts'

/** A node of the site: a Debian 12 root and a containerd, both in the node's network namespace. Needs root. */
export interface SiteNode {
  /** the root file system, as a folder of the host */
  root: string
  /** runs a program inside the root and returns its stdout */
  chroot(command: readonly string[]): Promise<string>
  /** starts containerd; `certs` is the folder of the hosts.toml files for pulls. FILE_NOT_FOUND where it is missing */
  startContainerd(certs: string): Promise<void>
  /** runs containerd's client, for `images pull` or `run` */
  ctr(args: readonly string[]): Promise<string>
  /** Stops containerd and unmounts; may be called again. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Programs that `openNode` and containerd need. */
export const nodePrograms = ['containerd', 'ctr', 'runc', 'mount', 'umount', 'nsenter', 'unshare'] as const

/** `folder` is created; `rootTar` is a Debian root file system. */
export async function openNode(
  network: NetworkHost,
  options: { folder: string; rootTar: string },
): Promise<SiteNode> {
  const { folder } = options
  const root = join(folder, 'root')
  const state = join(folder, 'containerd')
  const socket = join(state, 'containerd.sock')
  let containerd: ChildProcess | undefined
  const ctr = (args: readonly string[]) => run(network.inside(['ctr', '--address', socket, ...args]))
  const close = async () => {
    await ended(containerd)
    await unmountBelow(folder)
  }
  await mkdir(root, { recursive: true })
  try {
    await run(['tar', '-xf', options.rootTar, '-C', root, '--numeric-owner'])
    // apt must not use the archive that the root was made from
    for (const name of ['sources.list', 'sources.list.d'])
      await rm(join(root, 'etc/apt', name), { recursive: true, force: true })
    await mkdir(join(root, 'etc/apt/sources.list.d'))
    await run(['mount', '-t', 'proc', 'proc', join(root, 'proc')])
    await run(['mount', '-t', 'tmpfs', 'tmpfs', join(root, 'tmp')])
  } catch (error) {
    await close()
    throw error
  }
  return {
    root,
    chroot: command => run(network.inside(['chroot', root, ...command]), { env: nodeEnvironment }),
    async startContainerd(certs) {
      await access(certs).catch(error => {
        throw fromSystemError(error, certs)
      })
      await mkdir(state, { recursive: true })
      const config = join(state, 'config.toml')
      await writeFile(config, containerdConfig(state, socket))
      const [program, ...args] = insideWithCgroups(network, ['containerd', '--config', config])
      containerd = spawn(program!, args, { stdio: 'ignore', env: withSbin() })
      await until(() => ctr(['version']), { what: 'containerd', withinMs: 15_000 })
    },
    ctr,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Environment of programs inside a root. */
export const nodeEnvironment = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  DEBIAN_FRONTEND: 'noninteractive',
  LANG: 'C',
  HOME: '/root',
}

/** CRI is for the kubelet; ctr does not need it. */
function containerdConfig(state: string, socket: string): string {
  return [
    'version = 2',
    `root = "${state}/root"`,
    `state = "${state}/state"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    '[grpc]',
    `address = "${socket}"`,
    '',
  ].join('\n')
}

/**
 * `ip netns exec` mounts a new /sys, which hides the cgroups that runc needs. This enters only the network namespace, with
 * its resolv.conf, and a new mount namespace, so that containerd's mounts vanish when it ends.
 */
function insideWithCgroups(network: NetworkHost, command: readonly string[]): string[] {
  const script = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
  return [
    'nsenter',
    `--net=/run/netns/${network.namespace}`,
    'unshare',
    '--mount',
    'sh',
    '-c',
    script,
    'sh',
    network.resolvConf,
    ...command,
  ]
}

/** Unmounts everything below a folder: it is removed afterwards, and nothing of the host may then be mounted in it. */
async function unmountBelow(folder: string): Promise<void> {
  const mounts = await readFile('/proc/self/mounts', 'utf8')
  const own = mounts
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
    .filter(path => path.startsWith(`${folder}/`))
  for (const path of own.reverse()) await run(['umount', '-l', path]).catch(() => '')
}
