import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { onTestFinished } from 'vitest'

const home = resolve(import.meta.dirname, '..', '..', '..')
let program = ''

/** One JavaScript file, as a bundle carries it: starts much faster than the sources. Call in `beforeAll`. */
export async function buildProgram(): Promise<{ path: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-program-'))
  program = join(folder, 'offline-deploy.mjs')
  await build({
    entryPoints: [join(home, 'src', 'cli', 'offline-deploy.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    logLevel: 'error',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  })
  return { path: program, remove: () => rm(folder, { recursive: true, force: true }) }
}

export interface Ran {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface Running {
  child: ChildProcess
  ended: Promise<Ran>
  /** resolves when the text has come on stdout or stderr; rejects when the program ends before */
  said(text: string | RegExp): Promise<void>
}

/** Starts the program, with nothing of this process's environment. */
export function start(args: string[], options: { env?: Record<string, string>; cwd?: string } = {}): Running {
  // the flag of the wrapper in a bundle: a thread that is started with it, as one of its own, refuses it
  const child = spawn(process.execPath, ['--max-semi-space-size=2', program, ...args], {
    cwd: options.cwd ?? '/',
    env: { ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', chunk => {
    stdout += chunk
  })
  child.stderr?.on('data', chunk => {
    stderr += chunk
  })
  const ended = new Promise<Ran>(done => {
    child.once('close', (code, signal) => done({ code, signal, stdout, stderr }))
  })
  return {
    child,
    ended,
    async said(text) {
      const found = () => `${stdout}${stderr}`.search(text) >= 0
      while (!found()) {
        const over = await Promise.race([ended, new Promise(go => setTimeout(go, 20))])
        if (over !== undefined && !found())
          throw new Error(`ended without saying ${text}: ${stdout}${stderr}`)
      }
    },
  }
}

export async function run(
  args: string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<Ran> {
  return await start(args, options).ended
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise(done => server.close(done))
  return typeof address === 'object' && address !== null ? address.port : 0
}

export interface TestSite {
  work: string
  bundle: string
  site: string
  nodeRoot: string
  registry: string
  http: string
  /** options of every command for this site */
  options: string[]
  /** those that `serve` takes */
  serving: string[]
}

/**
 * A folder with room for a site on loopback, with plain HTTP unless `tls` says otherwise, so that tests of other things need no CA. Its servers are
 * stopped and all of it is removed when the test ends.
 */
export async function testSite({ tls = false } = {}): Promise<TestSite> {
  const work = await mkdtemp(join(tmpdir(), 'airgap-deploy-'))
  const [registryPort, httpPort] = [await freePort(), await freePort()]
  const bundle = join(work, 'sample.tar')
  const site = join(work, 'the site')
  const nodeRoot = join(work, 'node')
  const serving = [
    ...['--bundle', bundle, '--site', site, '--address', '127.0.0.1', '--listen', '127.0.0.1'],
    ...['--registry-port', String(registryPort), '--http-port', String(httpPort)],
    ...(tls ? [] : ['--plain-http']),
  ]
  const options = [...serving, '--node-root', nodeRoot]
  onTestFinished(async () => {
    await run(['stop', '--site', site])
    await rm(work, { recursive: true, force: true })
  })
  const registry = `127.0.0.1:${registryPort}`
  return { work, bundle, site, nodeRoot, registry, http: `http://127.0.0.1:${httpPort}`, options, serving }
}

/** Where kubespray puts the kubeconfig that it fetches from a control-plane node. */
export const fetchedKubeconfig = ({ site }: TestSite) => join(site, 'inventory', 'artifacts', 'admin.conf')

/** A kubeconfig in the form of kubeadm's, as JSON. */
export function sampleKubeconfig(user: object, server = 'https://10.0.0.1:6443'): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'a',
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': 'Y2VydGlmaWNhdGU=' } }],
    contexts: [{ name: 'a', context: { cluster: 'c', user: 'u' } }],
    users: [{ name: 'u', user }],
  })
}
