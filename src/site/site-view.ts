import { z } from 'zod'
import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import type { TreeEntries } from '../content/tree.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { httpServerOf, registryOf, type SiteAddress } from './address.ts'
import { type AptSuite, aptRepository } from './apt-repository.ts'
import { chartRepository } from './charts.ts'
import { type ClientFile, clientFiles, clientFilesDigest, type RpmClient } from './client-files.ts'
import { collisionsOf } from './collisions.ts'
import { mergedStore, type SiteContent } from './content.ts'
import { namedRoots, type SiteImages, siteImages } from './images.ts'
import { type RegistryMirrors, registryMirrors } from './registry-mirrors.ts'
import type { SiteKey } from './site-key.ts'
import { uniteTrees } from './united-trees.ts'
import { wheelIndex } from './wheel-index.ts'
import { yumRepositories } from './yum-repository.ts'

/** A document made on the site; what serve's HTTP server lays over a tree. */
export interface SiteDocument {
  bytes: Uint8Array
  mediaType: string
  lastModified: Date
}

/** A folder of the site's HTTP server. */
export interface SiteMount {
  prefix: string
  entries?: TreeEntries
  generated?: ReadonlyMap<string, SiteDocument>
  /** folder → its page, in several media types; the first for clients that ask for none */
  pages?: ReadonlyMap<string, readonly SiteDocument[]>
}

export interface RegistryView {
  store: ReadableStore
  images: SiteImages
  /** where machines look for the images of each upstream registry */
  mirrors: RegistryMirrors[]
}

/** The registry's half of a site: cheap, so that it answers at once. Throws NAME_COLLISION, BUNDLE_CORRUPT. */
export async function registryView(
  contents: readonly SiteContent[],
  { address }: { address: SiteAddress },
): Promise<RegistryView> {
  const store = mergedStore(contents)
  const images = await imagesOf(contents, { store, address })
  return { store, images, mirrors: registryMirrors({ address, upstreams: images.hosts }) }
}

async function imagesOf(
  contents: readonly SiteContent[],
  { store, address }: { store: ReadableStore; address: SiteAddress },
): Promise<SiteImages> {
  const named = contents.flatMap(content => namedRoots(content.roots()))
  const selves = [registryOf(address)]
  try {
    return siteImages(store, { named, collisions: {}, selves })
  } catch (error) {
    if (!isErrorCode(error, 'NAME_COLLISION')) throw error
    // the lock can be large: it is only read where it has to settle something
    return siteImages(store, { named, collisions: await collisionsOf(contents), selves })
  }
}

/** What the HTTP server of a site serves, and what its machines are to be given. */
export interface HttpView {
  mounts: SiteMount[]
  clients: ClientFile[]
}

/** The HTTP server's half: reads the tables of all trees, makes and signs what only the site can make. */
export async function httpView(
  contents: readonly SiteContent[],
  options: {
    address: SiteAddress
    key: SiteKey
    site: string
    mirrors: readonly RegistryMirrors[]
    now: () => Date
  },
): Promise<HttpView> {
  const { address, key, now } = options
  const store = mergedStore(contents)
  const lastModified = now()
  const document = (bytes: Uint8Array | string, mediaType: string): SiteDocument => ({
    bytes: Buffer.from(bytes),
    mediaType,
    lastModified,
  })
  const mounts: SiteMount[] = []
  const debs: { name: string; suites: AptSuite[] }[] = []
  const rpms: RpmClient[] = []
  for (const [name, { entries, documents }] of await uniteTrees(contents, isServed)) {
    const textOf = async (path: string): Promise<Buffer> =>
      documents.get(path) ?? (await readAll(store, entries.get(path)!.descriptor, maxDocument))
    const generated = new Map(
      [...documents].map(([path, bytes]) => [path, document(bytes, contentType(path))]),
    )
    const pages = new Map<string, SiteDocument[]>()
    const [, kind, repository] = /^(debs|rpms)\/([^/]+)$/.exec(name) ?? []
    if (kind === 'debs') {
      const { suites, files } = await aptRepository(entries, {
        key,
        now,
        textOf: async path => (await textOf(path)).toString('utf8'),
      })
      debs.push({ name: repository!, suites })
      for (const [path, bytes] of files) generated.set(path, document(bytes, 'text/plain; charset=utf-8'))
    } else if (kind === 'rpms') {
      for (const { id, files, keys } of await yumRepositories(entries, { key, now, name: repository! })) {
        for (const [path, bytes] of files) generated.set(path, document(bytes, contentType(path)))
        const settings = entries.has(`${id}/repository.json`)
          ? repositorySettings(await textOf(`${id}/repository.json`))
          : {}
        const texts = await Promise.all(keys.map(async path => (await textOf(path)).toString('utf8')))
        rpms.push({ name: repository!, id, keys: texts, ...settings })
      }
    } else if (name === 'pypi' && entries.has('index.json')) {
      for (const [path, forms] of wheelIndex(await textOf('index.json')))
        pages.set(
          path,
          forms.map(({ mediaType, text }) => document(text, mediaType)),
        )
    }
    mounts.push({ prefix: `/${name}`, entries, generated, pages })
  }
  const charts = contents
    .flatMap(content => namedRoots(content.roots()))
    .filter(named => named.kind === 'chart')
  if (charts.length > 0) {
    const roots = charts.map(chart => chart.root)
    const { entries, index } = await chartRepository(store, { roots, generated: lastModified })
    mounts.push({
      prefix: '/charts',
      entries,
      generated: new Map([['index.yaml', document(index, 'application/yaml')]]),
    })
  }
  const hasWheels = mounts.some(mount => mount.prefix === '/pypi')
  const clients = clientFiles({
    address,
    mirrors: options.mirrors,
    debs,
    rpms,
    hasWheels,
    publicKey: key.publicKeyArmored,
  })
  const own = new Map([['site-key.asc', document(key.publicKeyArmored, 'application/pgp-keys')]])
  for (const { path, text } of clients)
    own.set(`clients/${path}`, document(text, 'text/plain; charset=utf-8'))
  own.set(
    siteDocumentPath.slice(1),
    document(
      canonicalJson({
        site: options.site,
        bundles: contents.map(content => content.indexDigest),
        registry: registryOf(address),
        httpServer: httpServerOf(address),
        clients: clientFilesDigest(clients),
      } satisfies SiteDescription),
      'application/json',
    ),
  )
  mounts.push({ prefix: '/', generated: own })
  return { mounts, clients }
}

/** Where a running site says which one it is. */
export const siteDocumentPath = '/clients/site.json'

export interface SiteDescription {
  /** identity of the state folder */
  site: string
  /** index digests of what is served */
  bundles: string[]
  registry: string
  httpServer: string
  /** digest of the client files that it serves */
  clients: string
}

/** Only what is meant for machines: files and package repositories. The deployment tree is for the operator. */
export function isServed(name: string): boolean {
  return name === 'files' || name === 'pypi' || /^(?:debs|rpms)\/[^/]+$/.test(name)
}

function contentType(path: string): string {
  return path.endsWith('.xml') ? 'application/xml' : 'text/plain; charset=utf-8'
}

/** What dnf is to be told of a repository, as its publisher's entry said it. */
const settingsSchema = z.looseObject({
  priority: z.number().int().optional(),
  moduleHotfixes: z.boolean().optional(),
})

function repositorySettings(bytes: Buffer): { priority?: number; moduleHotfixes?: boolean } {
  try {
    const { priority, moduleHotfixes } = settingsSchema.parse(JSON.parse(bytes.toString('utf8')))
    return {
      ...(priority === undefined ? {} : { priority }),
      ...(moduleHotfixes === undefined ? {} : { moduleHotfixes }),
    }
  } catch (error) {
    throw new AirgapError('BUNDLE_CORRUPT', 'the settings of a package repository cannot be read', {
      item: 'repository.json',
      likely: 'a bundle made by another tool or version',
      next: 'serve it with the version that made it',
      cause: error,
    })
  }
}

/** Lists of packages, and what is made of them. */
const maxDocument = 512 << 20 /* bytes */
