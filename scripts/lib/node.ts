import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { NetworkHost } from './closed-network.ts'
import { run, withSbin } from './run.ts'

/** A node of the site: a Debian 12 root of its own and a containerd, both inside the node's network namespace. Root only. */
export interface SiteNode {
  /** the root file system, as a folder of the host */
  root: string
  /** runs a program inside the root */
  chroot(command: string[]): Promise<string>
  startContainerd(certs: string): Promise<void>
  ctr(args: string[]): Promise<string>
  close(): Promise<void>
}

export async function openNode(
  network: NetworkHost,
  options: { folder: string; rootTar: string },
): Promise<SiteNode> {
  const root = join(options.folder, 'root')
  const state = join(options.folder, 'containerd')
  const env = withSbin() as Record<string, string>
  const mounted: string[] = []
  let containerd: ChildProcess | undefined
  await mkdir(root, { recursive: true })
  await run(['tar', '-xf', options.rootTar, '-C', root, '--numeric-owner'])
  // whatever the root was made with must not be asked here
  for (const name of ['sources.list', 'sources.list.d'])
    await rm(join(root, 'etc/apt', name), { recursive: true, force: true })
  await mkdir(join(root, 'etc/apt/sources.list.d'))
  for (const [type, target] of [
    ['proc', 'proc'],
    ['tmpfs', 'tmp'],
  ] as const) {
    await run(['mount', '-t', type, type, join(root, target)], { env })
    mounted.push(join(root, target))
  }
  const socket = join(state, 'containerd.sock')
  const ctr = (args: string[]) => run(network.inside(['ctr', '--address', socket, ...args]), { env })
  return {
    root,
    chroot: command =>
      run(network.inside(['chroot', root, ...command]), {
        env: {
          PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
          DEBIAN_FRONTEND: 'noninteractive',
          LANG: 'C',
          HOME: '/root',
        },
      }),
    async startContainerd(certs) {
      await mkdir(state, { recursive: true })
      const config = join(state, 'config.toml')
      await writeFile(
        config,
        `version = 2\nroot = "${state}/root"\nstate = "${state}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${socket}"\n`,
      )
      if (!existsSync(certs)) throw new Error(`no mirror configuration at ${certs}`)
      containerd = spawn('ip', network.inside(['containerd', '--config', config]).slice(1), {
        stdio: 'ignore',
        env,
      })
      for (let tries = 0; ; tries++) {
        if (
          await ctr(['version']).then(
            () => true,
            () => false,
          )
        )
          return
        if (tries > 100) throw new Error('containerd does not start')
        await new Promise(go => setTimeout(go, 100))
      }
    },
    ctr,
    async close() {
      if (containerd && containerd.exitCode === null) {
        const gone = new Promise(done => containerd?.once('close', done))
        containerd.kill('SIGTERM')
        await gone
      }
      // containerd's own mounts lie under its state folder
      const lines = await run(['cat', '/proc/self/mounts'])
      const own = lines
        .split('\n')
        .map(line => line.split(' ')[1] ?? '')
        .filter(path => path.startsWith(`${options.folder}/`))
      for (const path of [...new Set([...own.reverse(), ...mounted.reverse()])]) {
        await run(['umount', '-l', path], { env }).catch(() => '')
      }
    },
  }
}
