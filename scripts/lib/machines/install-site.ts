import { spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { defined } from '../../../src/core/defined.ts'
import { run, withSbin } from '../run.ts'
import { type ClosedNetwork, openClosedNetwork } from './closed-network.ts'
import { nodeEnvironment } from './containerd-node.ts'
import { openSshNode, type SshNode } from './ssh-node.ts'

/** A site: a closed network, the deployment host with the medium in it, and the nodes that it installs. */
export interface InstallSite {
  network: ClosedNetwork
  /** the deployment host; the medium is /media/usb, the state folder /opt/site */
  control: SshNode
  nodes: SshNode[]
  /** runs offline-deploy from the medium, without this process's environment */
  deploy(args: readonly string[], options?: DeployOptions): Promise<Deployed>
  writeSiteFile(site: Record<string, unknown>): Promise<void>
}

export interface DeployOptions {
  env?: Readonly<Record<string, string>>
  /** receives each line of output; may kill the run */
  onLine?: (line: string, kill: () => void) => void
  /** kills the run after this time */
  killAfterMs?: number
}

export interface Deployed {
  /** exit code, or the signal that ended it */
  code: number | string
  stdout: string
  stderr: string
}

export const siteFolder = '/opt/site'

/** The folder of `bundle` is mounted at /media/usb; `work` is a folder for the machines' roots. */
export async function openInstallSite(options: {
  bundle: string
  work: string
  rootTar: string
  machines: readonly string[]
  sudoPassword?: string
  /** root file system with systemd; the nodes then run it */
  systemdTar?: string
  /** default: a new one */
  network?: ClosedNetwork
  resources: AsyncDisposableStack
}): Promise<InstallSite> {
  const { bundle, work, rootTar, machines, resources, sudoPassword } = options
  const network = options.network ?? resources.use(await openClosedNetwork({ nodes: machines.length }))
  const key = join(work, 'key')
  await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key])
  const authorizedKey = (await readFile(`${key}.pub`, 'utf8')).trim()
  const machine = { rootTar, authorizedKey, ...defined({ sudoPassword }) }
  const control = resources.use(
    await openSshNode(network.site, {
      ...machine,
      name: 'deploy',
      folder: join(work, 'deploy'),
      mounts: { 'media/usb': dirname(bundle) },
    }),
  )
  const nodes: SshNode[] = []
  for (const [i, name] of machines.entries())
    nodes.push(
      resources.use(
        await openSshNode(network.nodes[i]!, {
          ...machine,
          name,
          folder: join(work, name),
          ...(options.systemdTar === undefined ? {} : { systemd: true, rootTar: options.systemdTar }),
        }),
      ),
    )
  await mkdir(join(control.root, 'root/.ssh'), { recursive: true, mode: 0o700 })
  await writeFile(join(control.root, 'root/.ssh/id_ed25519'), await readFile(key), { mode: 0o600 })
  await mkdir(join(control.root, siteFolder), { mode: 0o700 })
  await control.chroot(['tar', 'xf', `/media/usb/${basename(bundle)}`, '-C', '/opt', 'offline-deploy'])
  return {
    network,
    control,
    nodes,
    deploy: (args, more) => deploy(control, ['/opt/offline-deploy/offline-deploy', ...args], more),
    async writeSiteFile(site) {
      await writeFile(join(control.root, siteFolder, 'site.yaml'), JSON.stringify(site, undefined, 2))
    },
  }
}

async function deploy(
  control: SshNode,
  command: readonly string[],
  { env = {}, onLine, killAfterMs }: DeployOptions = {},
): Promise<Deployed> {
  const [program, ...args] = control.inside(command)
  // killing this child kills the program inside, but not the processes that the program started
  const child = spawn(program!, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: withSbin({ ...nodeEnvironment, ...env }),
  })
  const kill = () => child.kill('SIGKILL')
  const timer = killAfterMs === undefined ? undefined : setTimeout(kill, killAfterMs)
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    let rest = ''
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      output[stream] += text
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) onLine?.(line, kill)
    })
  }
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject)
    // a server that it left running keeps its output open, so there may be no `close`
    child.once('exit', (status, signal) => setTimeout(() => resolve(status ?? signal ?? ''), 100))
  })
  clearTimeout(timer)
  return { code, ...output }
}
