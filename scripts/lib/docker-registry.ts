import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'

/** Debian's docker-registry on a loopback port of its own. */
export interface DockerRegistry {
  host: string
  /** `layout` is FOLDER:TAG */
  push(layout: string, name: string, options?: string[]): void
  close(): Promise<void>
}

export const hasDockerRegistry = ['docker-registry', 'skopeo'].every(
  program => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0,
)

export async function startDockerRegistry(folder: string): Promise<DockerRegistry> {
  await mkdir(folder, { recursive: true })
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  const config = join(folder, 'registry.yml')
  await writeFile(
    config,
    `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${folder}/data}}\nhttp: {addr: ${host}}\n`,
  )
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' })
  await answering(`http://${host}/v2/`)
  return {
    host,
    push(layout, name, options = []) {
      const ran = spawnSync(
        'skopeo',
        ['copy', '-q', ...options, '--dest-tls-verify=false', `oci:${layout}`, `docker://${host}/${name}`],
        { encoding: 'utf8' },
      )
      if (ran.status !== 0) throw new Error(ran.stderr)
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

export async function answering(url: string, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs
  for (;;) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer) {
      await answer.body?.cancel()
      return
    }
    if (performance.now() > end) throw new Error(`${url} does not answer`)
    await new Promise(go => setTimeout(go, 20))
  }
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise(done => child.once('close', done))
  child.kill('SIGKILL')
  await gone
}
