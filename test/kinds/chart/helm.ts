import { execFileSync, spawnSync } from 'node:child_process'
import { delimiter, join, resolve } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { Artifact } from '../../../src/content/artifact.ts'
import { digestOf } from '../../../src/core/digest.ts'
import type { ResolveContext } from '../../../src/kinds/kind.ts'
import { startDockerRegistry } from '../../remote/support/docker-registry.ts'
import { cached } from '../support/context.ts'

const tools = resolve(import.meta.dirname, '../../../.tools/bin')
const PATH = `${process.env['PATH'] ?? ''}${delimiter}${tools}`
const has = (program: string, argument: string) =>
  spawnSync(program, [argument], { env: { ...process.env, PATH } }).error === undefined
export const hasHelm = has('helm', 'version')
export const hasGpg = has('gpg', '--version')

/** helm with a home of its own. */
export function helm(home: string, args: string[], cwd = home): string {
  const env = {
    PATH,
    HOME: home,
    HELM_CACHE_HOME: join(home, 'c'),
    HELM_CONFIG_HOME: join(home, 'f'),
    HELM_DATA_HOME: join(home, 'd'),
  }
  return execFileSync('helm', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** What a bundle's registry holds of the artifact: put into docker-registry, from the lock and the cache alone. */
export async function put(
  artifact: Artifact,
  to: { host: string; repository: string; tag: string; context: ResolveContext },
) {
  const base = `http://${to.host}/v2/${to.repository}`
  const root = artifact.root.digest
  const contents = [
    ...artifact.inline,
    ...(await Promise.all(
      artifact.blobs.map(async ({ descriptor }) => ({
        descriptor,
        bytes: await cached(to.context, descriptor),
      })),
    )),
  ]
  for (const { descriptor, bytes } of contents) {
    if (descriptor.digest === root) continue
    const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST' })
    const location = new URL(begun.headers.get('location')!, base)
    location.searchParams.set('digest', descriptor.digest)
    const done = await fetch(location, {
      method: 'PUT',
      body: new Uint8Array(bytes),
      headers: { 'content-type': 'application/octet-stream' },
    })
    expect(done.status).toBe(201)
  }
  const manifest = contents.find(({ descriptor }) => descriptor.digest === root)!
  const done = await fetch(`${base}/manifests/${to.tag}`, {
    method: 'PUT',
    body: new Uint8Array(manifest.bytes),
    headers: { 'content-type': manifest.descriptor.mediaType },
  })
  expect([done.status, await done.text()]).toEqual([201, ''])
}

export async function registry(): Promise<string> {
  const running = await startDockerRegistry()
  onTestFinished(() => running.stop())
  return running.host
}

export async function helmManifest(host: string, { version, layer }: { version: string; layer: object }) {
  const config = await putBlob(host, JSON.stringify({ apiVersion: 'v2', name: 'web', version }))
  return {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', ...config },
    layers: [layer],
  }
}

export async function putManifest(
  host: string,
  { tag, manifest }: { tag: string; manifest: { mediaType: string; [key: string]: unknown } },
): Promise<void> {
  const done = await fetch(`http://${host}/v2/up/web/manifests/${tag}`, {
    method: 'PUT',
    body: JSON.stringify(manifest),
    headers: { 'content-type': manifest.mediaType },
  })
  expect([done.status, await done.text()]).toEqual([201, ''])
}

export async function putBlob(
  host: string,
  text: string | Buffer,
): Promise<{ digest: string; size: number }> {
  const begun = await fetch(`http://${host}/v2/up/web/blobs/uploads/`, { method: 'POST' })
  const location = new URL(begun.headers.get('location')!, `http://${host}`)
  location.searchParams.set('digest', digestOf(text))
  const headers = { 'content-type': 'application/octet-stream' }
  expect(
    (await fetch(location, { method: 'PUT', body: new Uint8Array(Buffer.from(text)), headers })).status,
  ).toBe(201)
  return { digest: digestOf(text), size: Buffer.byteLength(text) }
}
