import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { Agent, type Dispatcher, request } from 'undici'
import { onTestFinished } from 'vitest'
import type { ContentStore } from '../../../src/content/store.ts'
import type { TreeEntries } from '../../../src/content/tree.ts'
import { canonicalJson } from '../../../src/core/canonical-json.ts'
import { defined } from '../../../src/core/defined.ts'
import type { Descriptor } from '../../../src/core/descriptor.ts'
import type { Digest } from '../../../src/core/digest.ts'
import { mediaTypes } from '../../../src/core/media-types.ts'
import { listen } from '../../../src/serve/listen.ts'
import type { ServedImages, ServedRepository } from '../../../src/serve/served.ts'
import { describeBytes, imageOf, noise } from '../../bundle/samples.ts'

export async function put(
  store: ContentStore,
  bytes: Uint8Array,
  mediaType: string = mediaTypes.octets,
): Promise<Descriptor> {
  const descriptor = describeBytes(bytes, mediaType)
  await store.push(descriptor, Readable.from([Buffer.from(bytes)]))
  return descriptor
}

/** What one test serves: repositories by name, and by `ns` + name. */
export interface SampleImages extends ServedImages {
  add(name: string, repository: SampleRepository, ns?: string): void
}

export interface SampleRepository extends ServedRepository {
  tags: Map<string, Descriptor>
}

export function sampleImages(): SampleImages {
  const byName = new Map<string, SampleRepository>()
  const byNs = new Map<string, SampleRepository>()
  return {
    add(name, repository, ns) {
      if (ns === undefined) byName.set(name, repository)
      else byNs.set(`${ns} ${name}`, repository)
    },
    names: () => byName.keys(),
    find: (name, ns) => (ns === undefined ? byName.get(name) : byNs.get(`${ns} ${name}`)),
  }
}

export function repositoryOf(options: {
  tags: Record<string, Descriptor>
  manifests?: Descriptor[]
  blobs?: Descriptor[]
  referrers?: Descriptor[]
}): SampleRepository {
  const manifests = new Map<Digest, Descriptor>()
  const blobs = new Map((options.blobs ?? []).map(blob => [blob.digest, blob]))
  for (const d of [...Object.values(options.tags), ...(options.manifests ?? [])]) manifests.set(d.digest, d)
  const { referrers } = options
  return {
    tags: new Map(Object.entries(options.tags)),
    manifest: async digest => manifests.get(digest),
    blob: async digest => blobs.get(digest),
    ...defined({ referrers: referrers && (async () => referrers) }),
  }
}

export interface SampleImage {
  manifest: Descriptor
  manifestBytes: Buffer
  config: Descriptor
  layers: Descriptor[]
  layerBytes: Buffer[]
  repository: SampleRepository
}

/** Pushes an image with noise as layers of these sizes; `repository` has it under the tag `1`. */
export async function putImage(store: ContentStore, sizes: number[], seed = 1): Promise<SampleImage> {
  const layerBytes = sizes.map((size, i) => noise(size, seed * 100 + i + 1))
  const image = imageOf('registry.example/app:1', layerBytes)
  for (const [descriptor, bytes] of [...image.manifests, ...image.blobs])
    await put(store, bytes, descriptor.mediaType)
  const [[manifest, manifestBytes]] = image.manifests as [[Descriptor, Uint8Array]]
  const [[config], ...layers] = image.blobs as [[Descriptor, Uint8Array], ...[Descriptor, Uint8Array][]]
  return {
    manifest,
    manifestBytes: Buffer.from(manifestBytes),
    config,
    layers: layers.map(([descriptor]) => descriptor),
    layerBytes,
    repository: repositoryOf({
      tags: { 1: manifest },
      blobs: [config, ...layers.map(([descriptor]) => descriptor)],
    }),
  }
}

/** An index over manifests of these platforms. */
export async function putIndex(store: ContentStore, manifests: Descriptor[]): Promise<Descriptor> {
  const bytes = Buffer.from(canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
  return put(store, bytes, mediaTypes.ociIndex)
}

export async function treeOf(
  store: ContentStore,
  files: Record<string, string | Buffer>,
): Promise<TreeEntries> {
  const entries: TreeEntries = new Map()
  for (const [path, content] of Object.entries(files))
    entries.set(path, { descriptor: await put(store, Buffer.from(content)), mode: '100644' })
  return entries
}

export interface Running {
  origin: string
  port: number
  server: FastifyInstance
  get(
    path: string,
    options?: { method?: Dispatcher.HttpMethod; headers?: Record<string, string> },
  ): Promise<Got>
}

export interface Got {
  status: number
  headers: Record<string, string | undefined>
  body: Buffer
  json(): unknown
}

/** Listens on loopback until the test ends. */
export async function start(server: FastifyInstance): Promise<Running> {
  const listening = await listen(server, { host: '127.0.0.1', port: 0 })
  const agent = new Agent()
  onTestFinished(async () => {
    await agent.destroy()
    await listening.close({ graceMs: 0 })
  })
  const origin = `http://127.0.0.1:${listening.port}`
  return {
    origin,
    port: listening.port,
    server,
    async get(path, { method = 'GET', headers = {} } = {}) {
      const answer = await request(`${origin}${path}`, { method, headers, dispatcher: agent })
      const body = Buffer.from(await answer.body.arrayBuffer())
      return {
        status: answer.statusCode,
        headers: answer.headers as Record<string, string | undefined>,
        body,
        json: () => JSON.parse(body.toString('utf8')),
      }
    },
  }
}

/** Sends bytes as they are and gives back all that came until the connection ended, or `waitMs` passed. */
export async function raw(
  port: number,
  text: string | Buffer,
  { waitMs = 5_000 }: { waitMs?: number } = {},
): Promise<{ text: string; closed: boolean }> {
  const socket = openSocket(port)
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(chunk))
  const closed = new Promise<boolean>(resolve => {
    socket.on('close', () => resolve(true))
    setTimeout(() => resolve(false), waitMs).unref()
  })
  socket.write(text)
  const ended = await closed
  socket.destroy()
  return { text: Buffer.concat(chunks).toString('latin1'), closed: ended }
}

/** A connection that is gone when the test ends. */
export function openSocket(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  // a server that cuts a hostile client off may do so by reset
  socket.on('error', () => {})
  onTestFinished(() => {
    socket.destroy()
  })
  return socket
}
