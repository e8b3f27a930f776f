import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { AirgapError } from '../../../src/core/errors.ts'
import { missingPrograms, run } from '../run.ts'

/** Debian's docker-registry on a free loopback port, over plain HTTP. */
export interface DockerRegistry {
  /** host:port */
  host: string
  /** `layout` is FOLDER:TAG; `options` go to skopeo */
  push(layout: string, name: string, options?: string[]): void
  close(): Promise<void>
}

export interface Login {
  user: string
  password: string
}

export const hasDockerRegistry = missingPrograms(['docker-registry', 'skopeo']).length === 0

/** `folder` holds its configuration and its storage. With a `login`, every request requires it (htpasswd). */
export async function startDockerRegistry(
  folder: string,
  { login }: { login?: Login } = {},
): Promise<DockerRegistry> {
  await mkdir(folder, { recursive: true })
  const host = `127.0.0.1:${await freePort()}`
  const config = join(folder, 'registry.yml')
  const lines = [
    'version: 0.1',
    'log: {level: error, accesslog: {disabled: true}}',
    `storage: {filesystem: {rootdirectory: ${folder}/data}}`,
    `http: {addr: ${host}}`,
  ]
  if (login) {
    const passwords = join(folder, 'htpasswd')
    await writeFile(passwords, await run(['htpasswd', '-Bni', login.user], { input: login.password }))
    lines.push(`auth: {htpasswd: {realm: test, path: ${passwords}}}`)
  }
  await writeFile(config, `${lines.join('\n')}\n`)
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' })
  // a program that cannot be started never answers, which `answering` reports
  child.on('error', () => undefined)
  const credentials = login ? ['--dest-creds', `${login.user}:${login.password}`] : []
  try {
    await answering(`http://${host}/v2/`)
  } catch (error) {
    await stopped(child)
    throw error
  }
  return {
    host,
    push(layout, name, options = []) {
      const target = ['--dest-tls-verify=false', ...credentials, `oci:${layout}`, `docker://${host}/${name}`]
      const ran = spawnSync('skopeo', ['copy', '-q', ...options, ...target], { encoding: 'utf8' })
      if (ran.status === 0) return
      throw new AirgapError('STEP_FAILED', `skopeo failed to push:\n${ran.stderr.trim()}`, {
        item: name,
        next: 'read its output, above',
      })
    },
    close: () => stopped(child),
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  await new Promise(done => server.close(done))
  return port
}

/** Waits until a server answers at `url`, with any status. */
export async function answering(url: string, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs
  for (;;) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer) {
      await answer.body?.cancel()
      return
    }
    if (performance.now() > end) {
      throw new AirgapError('STEP_FAILED', `no answer within ${withinMs} ms`, {
        item: url,
        likely: 'the server is not installed, or another program took its port',
        next: 'run ./scripts/setup --with-clients, then try again',
      })
    }
    await new Promise(go => setTimeout(go, 20))
  }
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise(done => child.once('close', done))
  child.kill('SIGKILL')
  await gone
}
