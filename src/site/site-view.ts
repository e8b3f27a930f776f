import { z } from 'zod'
import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import { readTree, type TreeEntries } from '../content/tree.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { httpServerOf, registryOf, type SiteAddress } from './address.ts'
import { type AptSuite, aptRepository } from './apt-repository.ts'
import { chartRepository } from './charts.ts'
import { mergedStore, type SiteContent, treesOf } from './content.ts'
import { namedRoots, type SiteImages, siteImages } from './images.ts'
import { type ClientFiles, clientFiles } from './mirror-files.ts'
import type { Collisions } from './names.ts'
import type { SiteKey } from './site-key.ts'

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
}

/** The registry's half of a site: cheap, so that it answers at once. Throws NAME_COLLISION, BUNDLE_CORRUPT. */
export async function registryView(
  contents: readonly SiteContent[],
  options: { address: SiteAddress },
): Promise<{ store: ReadableStore; images: SiteImages }> {
  const store = mergedStore(contents)
  const named = contents.flatMap(content => namedRoots(content.roots()))
  const selves = [registryOf(options.address)]
  try {
    return { store, images: siteImages(store, { named, collisions: {}, selves }) }
  } catch (error) {
    if (!isErrorCode(error, 'NAME_COLLISION')) throw error
    // the lock can be large: it is only read where it has to settle something
    return { store, images: siteImages(store, { named, collisions: await collisionsOf(contents), selves }) }
  }
}

/** What the HTTP server of a site serves, and what its machines are to be given. */
export interface HttpView {
  mounts: SiteMount[]
  clients: ClientFiles
}

/** The HTTP server's half: reads the tables of all trees, makes and signs what only the site can make. */
export async function httpView(
  contents: readonly SiteContent[],
  options: { address: SiteAddress; key: SiteKey; site: string; hosts: readonly string[]; now: () => Date },
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
  for (const [name, entries] of await servedTrees(contents)) {
    const repository = /^debs\/([^/]+)$/.exec(name)?.[1]
    if (repository === undefined) {
      mounts.push({ prefix: `/${name}`, entries })
      continue
    }
    const { suites, files } = await aptRepository(entries, { key, now })
    debs.push({ name: repository, suites })
    const generated = new Map(
      [...files].map(([path, bytes]) => [path, document(bytes, 'text/plain; charset=utf-8')]),
    )
    mounts.push({ prefix: `/${name}`, entries, generated })
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
  const clients = clientFiles({ address, hosts: options.hosts, debs, publicKey: key.publicKeyArmored })
  const own = new Map([['site-key.asc', document(key.publicKeyArmored, 'application/pgp-keys')]])
  for (const [path, text] of clients) own.set(`clients/${path}`, document(text, 'text/plain; charset=utf-8'))
  own.set(
    siteDocumentPath.slice(1),
    document(
      canonicalJson({
        site: options.site,
        bundles: contents.map(content => content.indexDigest),
        registry: registryOf(address),
        httpServer: httpServerOf(address),
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
}

/** Only what is meant for machines: files and package repositories. The deployment tree is for the operator. */
function isServed(name: string): boolean {
  return name === 'files' || /^debs\/[^/]+$/.test(name)
}

async function servedTrees(contents: readonly SiteContent[]): Promise<Map<string, TreeEntries>> {
  const trees = new Map<string, TreeEntries>()
  for (const content of contents) {
    for (const tree of treesOf(content.roots())) {
      if (!isServed(tree.name)) continue
      const entries = await readTree(content, tree.roots)
      const known = trees.get(tree.name)
      if (known === undefined) trees.set(tree.name, entries)
      else mergeInto(known, { entries, name: tree.name })
    }
  }
  return trees
}

function mergeInto(known: TreeEntries, { entries, name }: { entries: TreeEntries; name: string }): void {
  for (const [path, entry] of entries) {
    const other = known.get(path)
    if (other !== undefined && other.descriptor.digest !== entry.descriptor.digest) {
      throw new AirgapError('NAME_COLLISION', 'two bundles have different content under one path', {
        item: `/${name}/${path}`,
        next: 'serve the newer bundle only',
      })
    }
    known.set(path, entry)
  }
}

const maxLockSize = 512 << 20 /* bytes */
const collisionsSchema = z.looseObject({ collisions: z.record(z.string(), z.string()).default({}) })

/** Which upstream wins a name, as the stack manifest said: it stands in the lock that every bundle carries. */
async function collisionsOf(contents: readonly SiteContent[]): Promise<Collisions> {
  const collisions: Record<string, string> = Object.create(null)
  for (const content of contents) {
    const roots = treesOf(content.roots()).find(tree => tree.name === 'lock')?.roots ?? []
    const lock = (await readTree(content, roots)).get('lock.json')
    if (lock === undefined) continue
    const text = (await readAll(content, lock.descriptor, maxLockSize)).toString('utf8')
    try {
      Object.assign(collisions, collisionsSchema.parse(JSON.parse(text)).collisions)
    } catch (error) {
      throw new AirgapError('BUNDLE_CORRUPT', 'the lock in the bundle cannot be read', {
        item: lock.descriptor.digest,
        likely: 'a bundle made by another tool or version',
        next: 'serve it with the version that made it',
        cause: error,
      })
    }
  }
  return collisions
}
