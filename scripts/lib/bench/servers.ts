import { spawn } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { withSbin } from '../run.ts'
import { answering, freePort } from '../upstreams/docker-registry.ts'

/** A server under test: ours, or a peer. */
export interface Server {
  name: string
  /** the process at the root of its tree */
  pid: number
  /** http://host:port of the registry, or of the file server */
  url: string
  /** http://host:port of our HTTP server */
  files?: string
  /** PEM: what clients of a server with TLS trust */
  caFile?: string
  stop(): Promise<void>
}

async function start(
  name: string,
  options: { command: string[]; url: string; ready: string; env?: NodeJS.ProcessEnv },
): Promise<Server> {
  const [program, ...args] = options.command
  const child = spawn(program!, args, {
    stdio: ['ignore', 'ignore', process.env['AIRGAP_BENCH_VERBOSE'] ? 'inherit' : 'ignore'],
    env: options.env ?? withSbin(),
  })
  child.on('error', () => undefined)
  const gone = new Promise<void>(done => child.once('close', () => done()))
  const stop = async () => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const hard = setTimeout(() => child.kill('SIGKILL'), 10_000)
    child.kill('SIGTERM')
    await gone
    clearTimeout(hard)
  }
  try {
    await answering(options.ready, 60_000)
  } catch (error) {
    await stop()
    throw error
  }
  return { name, pid: child.pid!, url: options.url, stop }
}

/** The program that a bundle carries, on that bundle. `fresh` removes the state folder, so that nothing is known about the bundle. */
export async function startOurs(
  work: string,
  { fresh = false, tls = false, args = [] }: { fresh?: boolean; tls?: boolean; args?: string[] } = {},
): Promise<Server> {
  const site = join(work, tls ? 'site-tls' : 'site')
  if (fresh) await rm(site, { recursive: true, force: true })
  const [registry, files] = [await freePort(), await freePort()]
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${registry}`
  const server = await start('offline-deploy serve', {
    command: [
      join(work, 'offline-deploy', 'offline-deploy'),
      'serve',
      '--bundle',
      join(work, 'bundle.tar'),
      '--site',
      site,
      '--address',
      '127.0.0.1',
      '--listen',
      '127.0.0.1',
      '--registry-port',
      String(registry),
      '--http-port',
      String(files),
      tls ? '--tls' : '--plain-http',
      ...args,
    ],
    url,
    // a server with TLS answers that it has TLS
    ready: `http://127.0.0.1:${registry}/v2/`,
    env: { PATH: process.env['PATH'] },
  })
  return {
    ...server,
    ...(tls && { caFile: join(site, 'tls', 'ca.pem') }),
    files: `http://127.0.0.1:${files}`,
  }
}

/** Debian's docker-registry over `folder`, as it is installed but for its log. */
export async function startRegistry(folder: string): Promise<Server> {
  const address = `127.0.0.1:${await freePort()}`
  await mkdir(folder, { recursive: true })
  const config = join(folder, 'registry.yml')
  await writeFile(
    config,
    `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${folder}/data}}\nhttp: {addr: ${address}}\n`,
  )
  const url = `http://${address}`
  return await start('docker-registry', {
    command: ['docker-registry', 'serve', config],
    url,
    ready: `${url}/v2/`,
  })
}

/** zot over `folder`, with its defaults but for its log. */
export async function startZot(folder: string): Promise<Server> {
  const port = await freePort()
  await mkdir(folder, { recursive: true })
  const config = join(folder, 'zot.json')
  await writeFile(
    config,
    JSON.stringify({
      distSpecVersion: '1.1.1',
      storage: { rootDirectory: join(folder, 'data') },
      http: { address: '127.0.0.1', port: String(port) },
      log: { level: 'error' },
    }),
  )
  const url = `http://127.0.0.1:${port}`
  return await start('zot', { command: ['zot', 'serve', config], url, ready: `${url}/v2/` })
}

/** nginx over `folder`, with the settings of Debian's package that matter here: one process for each core, sendfile. */
export async function startNginx(folder: string, state: string): Promise<Server> {
  const port = await freePort()
  await mkdir(state, { recursive: true })
  const config = join(state, 'nginx.conf')
  const text = [
    'daemon off;',
    'worker_processes auto;',
    process.getuid?.() === 0 ? 'user root;' : '',
    `pid ${state}/nginx.pid;`,
    `error_log ${state}/error.log;`,
    'events { worker_connections 2048; }',
    'http {',
    '  access_log off;',
    '  sendfile on;',
    '  tcp_nopush on;',
    '  default_type application/octet-stream;',
    ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      name => `  ${name}_temp_path ${state}/${name};`,
    ),
    `  server { listen 127.0.0.1:${port}; root ${folder}; }`,
    '}',
    '',
  ]
  await writeFile(config, text.join('\n'))
  const url = `http://127.0.0.1:${port}`
  return await start('nginx', { command: ['nginx', '-c', config, '-p', state], url, ready: `${url}/` })
}
