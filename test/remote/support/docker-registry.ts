import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const has = (program: string, flag = '--version') => spawnSync(program, [flag]).error === undefined

export const hasDockerRegistry = has('docker-registry')
export const hasSkopeo = has('skopeo')
export const hasUmoci = has('umoci')
export const hasHtpasswd = has('htpasswd', '-h')

export interface RunningRegistry {
  /** host:port on loopback, plain http */
  host: string
  folder: string
  stop(): Promise<void>
}

/** Debian's docker-registry on a free port of loopback, with a password where `login` (user:password) is given. */
export async function startDockerRegistry(options: { login?: string } = {}): Promise<RunningRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'airgap-registry-'))
  const port = await freePort()
  const auth: string[] = []
  if (options.login) {
    const [user, password] = options.login.split(':') as [string, string]
    const line = execFileSync('htpasswd', ['-Bbn', user, password], { encoding: 'utf8' })
    writeFileSync(join(folder, 'htpasswd'), line)
    auth.push('auth:', '  htpasswd:', '    realm: test', `    path: ${join(folder, 'htpasswd')}`)
  }
  const config = [
    'version: 0.1',
    'log: {level: error}',
    `storage: {filesystem: {rootdirectory: ${join(folder, 'data')}}}`,
    `http: {addr: '127.0.0.1:${port}'}`,
    ...auth,
  ]
  writeFileSync(join(folder, 'config.yml'), `${config.join('\n')}\n`)
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' })
  const host = `127.0.0.1:${port}`
  const stop = async () => {
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await answering(host, child)
  } catch (error) {
    await stop()
    throw error
  }
  return { host, folder, stop }
}

/** An image in an OCI layout made by umoci: one layer with one file, and no mediaType in its manifest. */
export function umociImage(folder: string, content: Buffer): string {
  const layout = join(folder, 'layout')
  const files = join(folder, 'files')
  mkdirSync(files)
  writeFileSync(join(files, 'content'), content)
  const umoci = (...args: string[]) => execFileSync('umoci', args, { stdio: 'pipe' })
  umoci('init', '--layout', layout)
  umoci('new', '--image', `${layout}:1`)
  umoci('insert', '--image', `${layout}:1`, files, '/data')
  return layout
}

/** Copies `layout:1` into a registry. `format` is skopeo's: oci or v2s2. */
export function skopeoPush(
  layout: string,
  to: string,
  options: { login?: string; format?: string } = {},
): void {
  const login = options.login ? ['--dest-creds', options.login] : []
  const format = options.format ? ['--format', options.format] : []
  const args = ['copy', '--quiet', '--dest-tls-verify=false', ...login, ...format]
  execFileSync('skopeo', [...args, `oci:${layout}:1`, `docker://${to}`], { stdio: 'pipe' })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}

async function answering(host: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    // any status will do: it is up
    const up = await fetch(`http://${host}/v2/`).then(
      response => response.status < 500,
      () => false,
    )
    if (up) return
    await delay(25)
  }
  throw new Error('docker-registry did not start')
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}
