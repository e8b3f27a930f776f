import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { isErrorCode } from '../core/errors.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import { kinds } from '../kinds/index.ts'
import {
  documentOf,
  type HttpMount,
  type HttpView,
  type MountedTree,
  plainText,
  type Signer,
  type SiteList,
  type SiteMount,
} from '../kinds/mount.ts'
import { httpServerOf, registryOf, type SiteAddress } from './address.ts'
import { type ClientFile, caFileOf, clientFilesDigest, containerdFiles, siteCaFiles } from './client-files.ts'
import { collisionsOf } from './collisions.ts'
import { mergedStore, type SiteContent } from './content.ts'
import { namedRoots, type SiteImages, siteImages } from './images.ts'
import { type RegistryMirrors, registryMirrors } from './registry-mirrors.ts'
import { maxDocument, type UnitedTree, uniteTrees } from './united-trees.ts'

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
  const named = contents.flatMap((content, bundle) =>
    namedRoots(content.roots()).map(one => ({ ...one, bundle })),
  )
  const selves = [registryOf(address)]
  try {
    return siteImages(store, { named, collisions: {}, selves })
  } catch (error) {
    if (!isErrorCode(error, 'NAME_COLLISION')) throw error
    // the lock can be large: it is only read where it has to settle a collision
    return siteImages(store, { named, collisions: await collisionsOf(contents), selves })
  }
}

/**
 * The HTTP server's half: reads the tables of all trees, and lets each kind generate and sign what only the site can. Throws
 * NAME_COLLISION, BUNDLE_CORRUPT.
 */
export async function httpView(
  contents: readonly SiteContent[],
  options: {
    address: SiteAddress
    key: Signer
    site: string
    mirrors: readonly RegistryMirrors[]
    now: () => Date
    /** PEM of the CA with which machines check the servers; absent: plain HTTP, or a certificate of a CA that they know */
    ca?: string | undefined
  },
): Promise<HttpView> {
  const { address, key, ca } = options
  const now = options.now()
  const httpServer = httpServerOf(address)
  const store = mergedStore(contents)
  const united = await uniteTrees(contents, mountOf)
  const mounts: SiteMount[] = []
  const caFile = caFileOf(ca)
  const clients: ClientFile[] = [...siteCaFiles(ca, address), ...containerdFiles(options.mirrors, { caFile })]
  const lists: SiteList[] = []
  for (const kind of kinds) {
    const { http } = kind.mounts
    if (http === 'none') continue
    const trees = [...united].filter(([name]) => http.serves(name))
    const view = await http.mount(
      {
        trees: trees.map(([name, tree]) => mountedTree(name, { tree, store })),
        roots: contents.flatMap(content => nativeRoots(content, kind.name)),
      },
      { store, key, now, httpServer, caFile },
    )
    mounts.push(...view.mounts)
    clients.push(...view.clients)
    lists.push(...view.lists)
  }
  const description: SiteDescription = {
    site: options.site,
    bundles: contents.map(content => content.indexDigest),
    registry: registryOf(address),
    httpServer,
    clients: clientFilesDigest(clients),
  }
  const generated = new Map([
    ['site-key.asc', documentOf(key.publicKeyArmored, 'application/pgp-keys', now)],
    ...(ca === undefined
      ? []
      : [['clients/ca.crt', documentOf(ca, 'application/x-x509-ca-cert', now)] as const]),
    ...clients.map(({ path, text }) => [`clients/${path}`, documentOf(text, plainText, now)] as const),
    [siteDocumentPath.slice(1), documentOf(canonicalJson(description), 'application/json', now)],
  ])
  mounts.push({ prefix: '/', generated })
  return { mounts, clients, lists }
}

/** Returns the kind that serves a tree of this name. A tree of no kind (the lock, a deployment tree) is not for machines. */
export function mountOf(tree: string): HttpMount | undefined {
  return kinds
    .flatMap(kind => (kind.mounts.http === 'none' ? [] : [kind.mounts.http]))
    .find(mount => mount.serves(tree))
}

function mountedTree(name: string, { tree, store }: { tree: UnitedTree; store: ReadableStore }): MountedTree {
  const { entries, documents } = tree
  return {
    name,
    entries,
    documents,
    text: async path =>
      documents.get(path) ?? (await readAll(store, entries.get(path)!.descriptor, maxDocument)),
  }
}

function nativeRoots(content: SiteContent, kind: string): Descriptor[] {
  return content
    .roots()
    .filter(root => root.annotations?.[annotationKeys.kind] === kind && root.artifactType !== mediaTypes.tree)
}

/** Path under which a running site describes itself. */
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
