import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { isRoot, missingPrograms, run, withSbin } from '../../scripts/lib/run.ts'
import { buildProgram, freePort, run as offlineDeploy, start } from '../cli/offline-deploy/support.ts'
import { cells } from './registry-clients/cells.ts'
import { buildMore, writeContent } from './registry-clients/content.ts'
import { type Operation, operations, type Place } from './registry-clients/place.ts'

/**
 * Unmodified clients × what they do × how the site is reached: plain HTTP, TLS by the site's CA, and TLS where everything needs a login. The table at
 * the end has one cell for each run; AIRGAP_MATRIX=FILE also writes it to a file.
 */
const modes = ['plain', 'TLS', 'user'] as const
type Mode = (typeof modes)[number]

/** Without blanks, which apt's auth.conf cannot have. */
const login = { user: 'ci', password: 'of-the-site' }
/** Not loopback, where there is another: helm and crane use plain HTTP there without being told to. */
const address =
  Object.values(networkInterfaces())
    .flat()
    .find(each => each?.family === 'IPv4' && !each.internal)?.address ?? '127.0.0.1'
const results = new Map<string, string>()
const resources = new AsyncDisposableStack()
let work: string
let bundles: string[]
let containerd = ''

beforeAll(async () => {
  // short: containerd's socket is below it
  work = await mkdtemp(join(tmpdir(), 'mx-'))
  resources.defer(() => rm(work, { recursive: true, force: true }))
  const program = await buildProgram()
  resources.defer(() => program.remove())
  bundles = [
    await writeContent(work),
    await buildMore(work, close => void resources.defer(async () => void close())),
  ]
  if (isRoot && missingPrograms(['containerd', 'ctr']).length === 0) containerd = await startContainerd()
}, 180_000)

afterAll(async () => {
  await resources.disposeAsync()
  const table = renderTable()
  console.info(table)
  const file = process.env['AIRGAP_MATRIX']
  if (file !== undefined) await writeFile(file, table)
})

async function startContainerd(): Promise<string> {
  const socket = join(work, 'c.sock')
  const lines = [
    'version = 2',
    `root = "${work}/c-root"`,
    `state = "${work}/c-state"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    '[grpc]',
    `address = "${socket}"`,
  ]
  await writeFile(join(work, 'containerd.toml'), `${lines.join('\n')}\n`)
  const child = spawn('containerd', ['--config', join(work, 'containerd.toml')], {
    stdio: 'ignore',
    env: withSbin(),
  })
  resources.defer(() => ended(child))
  for (let tries = 0; tries < 100; tries++) {
    if (await run(['ctr', '--address', socket, 'version']).catch(() => undefined)) return socket
    await sleep(100)
  }
  throw new Error('containerd does not start')
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise(done => child.once('close', done))
  child.kill('SIGTERM')
  await gone
}

async function openSite(mode: Mode): Promise<Omit<Place, 'folder'>> {
  const site = join(work, `site-${mode}`)
  const [registryPort, httpPort] = [await freePort(), await freePort()]
  const added = await offlineDeploy(['users', 'add', login.user, '--role', 'push', '--site', site], {
    env: { OFFLINE_DEPLOY_USER_PASSWORD: login.password },
  })
  if (added.code !== 0) throw new Error(added.stderr)
  const running = start([
    'serve',
    ...bundles.flatMap(bundle => ['--bundle', bundle]),
    ...['--site', site, '--address', address, '--listen', address],
    ...['--registry-port', String(registryPort), '--http-port', String(httpPort)],
    ...(mode === 'plain' ? ['--plain-http'] : []),
    ...(mode === 'user' ? ['--require-login'] : []),
  ])
  resources.defer(() => ended(running.child))
  await running.said('stop with Ctrl-C')
  const tls = mode !== 'plain'
  const http = `${tls ? 'https' : 'http'}://${address}:${httpPort}`
  const registry = `${address}:${registryPort}`
  const trust = join(work, `trust-${mode}`)
  await mkdir(trust)
  const caFile = join(trust, 'ca.crt')
  if (tls) await writeFile(caFile, await run(['curl', '-fsSk', `${http}/clients/ca.crt`]))
  const logins = join(work, `login-${mode}`)
  await mkdir(logins)
  const auth = Buffer.from(`${login.user}:${login.password}`).toString('base64')
  const config = join(logins, 'config.json')
  await writeFile(config, JSON.stringify({ auths: { [registry]: { auth } } }))
  const ca = tls ? ['--cacert', caFile] : []
  const user = ['-u', `${login.user}:${login.password}`]
  const clientFile = (path: string) => run(['curl', '-fsS', ...ca, ...user, `${http}/clients/${path}`])
  return { registry, http, tls, caFile, login, config, loginToPull: mode === 'user', containerd, clientFile }
}

describe.each(modes)('clients of a site: %s', mode => {
  let site: Omit<Place, 'folder'>
  beforeAll(async () => {
    site = await openSite(mode)
  })

  for (const [client, row] of Object.entries(cells))
    for (const [operation, cell] of Object.entries(row)) {
      const missing = missingPrograms(cell.needs)
      if (client === 'containerd' && !isRoot) missing.push('root')
      const key = `${client} ${operation} ${mode}`
      if (missing.length > 0) results.set(key, `no ${missing[0]}`)
      it.skipIf(missing.length > 0)(
        `${client}: ${operation}${missing.length > 0 ? ` (needs ${missing.join(', ')})` : ''}`,
        async () => {
          results.set(key, 'FAILED')
          const folder = join(work, `${mode}-${client}-${operation}`.toLowerCase())
          await mkdir(folder)
          await cell.run({ ...site, folder })
          results.set(key, 'ok')
        },
      )
    }
})

/** Rows are clients, columns operations; a cell has the results of the three modes, in order. */
function renderTable(): string {
  const cellOf = (client: string, operation: Operation) => {
    if (cells[client]?.[operation] === undefined) return '–'
    const found = modes.map(mode => results.get(`${client} ${operation} ${mode}`) ?? 'not run')
    return found.every(result => result === found[0]) ? found[0]! : found.join('/')
  }
  const rows = Object.keys(cells).map(client => [client, ...operations.map(each => cellOf(client, each))])
  const line = (row: string[]) => `| ${row.join(' | ')} |`
  const head = [`client (${modes.join(', ')})`, ...operations]
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n')
}
