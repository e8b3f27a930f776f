import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { missingPrograms } from '../../scripts/lib/run.ts'
import { answering, freePort, startDockerRegistry } from '../../scripts/lib/upstreams/docker-registry.ts'

/** A real registry on loopback, over plain HTTP. */
export interface TestRegistry {
  /** host:port */
  host: string
  /** folder of its storage */
  storage: string
  close(): Promise<void>
}

export const registries = { 'docker-registry': startRegistry, zot: startZot } as const
export type RegistryName = keyof typeof registries

export const lacking = (name: RegistryName) =>
  missingPrograms(name === 'zot' ? ['zot'] : ['docker-registry', 'htpasswd'])

async function startRegistry(
  folder: string,
  options: { login?: { user: string; password: string } } = {},
): Promise<TestRegistry> {
  const registry = await startDockerRegistry(folder, options)
  return { host: registry.host, storage: join(folder, 'data'), close: () => registry.close() }
}

async function startZot(folder: string): Promise<TestRegistry> {
  const storage = join(folder, 'data')
  await mkdir(storage, { recursive: true })
  const port = await freePort()
  const config = join(folder, 'zot.json')
  await writeFile(
    config,
    JSON.stringify({
      distSpecVersion: '1.1.0',
      storage: { rootDirectory: storage },
      http: { address: '127.0.0.1', port: String(port) },
      log: { level: 'error' },
    }),
  )
  const child = spawn('zot', ['serve', config], { stdio: 'ignore' })
  const host = `127.0.0.1:${port}`
  await answering(`http://${host}/v2/`)
  return { host, storage, close: () => stopped(child) }
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise(done => child.once('close', done))
  child.kill('SIGKILL')
  await gone
}
