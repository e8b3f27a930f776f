import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import { parseManifest } from '../content/successors.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { isIndexType, isManifestType } from '../core/media-types.ts'

/** Indexes inside indexes deeper than this are damage: the builder refuses them. */
const maxDepth = 8

/** What hangs on the manifests of one repository. */
interface Held {
  manifests: Map<Digest, Descriptor>
  blobs: Map<Digest, Descriptor>
  /** subject → what refers to it */
  referrers: Map<Digest, Descriptor[]>
}

/**
 * One repository of the site. Content answers only where it belongs to the repository, so that a name tells nothing of
 * another one. Its manifests are read when first asked for something below a tag: starting a site reads none.
 */
export class SiteRepository {
  readonly #store: ReadableStore
  readonly #tags = new Map<string, Descriptor>()
  readonly #roots = new Map<Digest, Descriptor>()
  #held: Promise<Held> | undefined

  constructor(store: ReadableStore) {
    this.#store = store
  }

  get tags(): ReadonlyMap<string, Descriptor> {
    return this.#tags
  }

  /** Throws NAME_COLLISION where the tag has another content already. */
  add(root: Descriptor, { tag, name }: { tag: string | undefined; name: string }): void {
    const descriptor = bare(root)
    this.#roots.set(descriptor.digest, descriptor)
    this.#held = undefined
    if (tag === undefined) return
    const other = this.#tags.get(tag)
    if (other !== undefined && other.digest !== descriptor.digest) {
      throw new AirgapError('NAME_COLLISION', 'one name has two different contents', {
        item: name,
        likely: `${other.digest} and ${descriptor.digest} come from two bundles, or are two charts with the same name and version`,
        next: 'serve only one of the bundles; within one bundle, remove one of the charts from the manifest',
      })
    }
    this.#tags.set(tag, descriptor)
  }

  async manifest(digest: Digest): Promise<Descriptor | undefined> {
    return this.#roots.get(digest) ?? (await this.#all()).manifests.get(digest)
  }

  async blob(digest: Digest): Promise<Descriptor | undefined> {
    const found = (await this.#all()).blobs.get(digest)
    // foreign layers are named but need not be carried
    return found !== undefined && (await this.#store.exists(found)) ? found : undefined
  }

  async referrers(subject: Digest): Promise<readonly Descriptor[]> {
    return (await this.#all()).referrers.get(subject) ?? []
  }

  #all(): Promise<Held> {
    if (this.#held === undefined) {
      const reading = this.#read()
      this.#held = reading
      // a medium that was pulled out may come back: ask again next time
      reading.catch(() => {
        if (this.#held === reading) this.#held = undefined
      })
    }
    return this.#held
  }

  async #read(): Promise<Held> {
    const held: Held = { manifests: new Map(), blobs: new Map(), referrers: new Map() }
    for (const root of this.#roots.values()) await this.#walk(root, { held, depth: 0 })
    return held
  }

  async #walk(descriptor: Descriptor, { held, depth }: { held: Held; depth: number }): Promise<void> {
    if (held.manifests.has(descriptor.digest)) return
    if (depth > maxDepth) {
      throw new AirgapError('BUNDLE_CORRUPT', 'indexes are nested too deep', { item: descriptor.digest })
    }
    const bytes = await readAll(this.#store, descriptor)
    const { mediaType, digest } = descriptor
    const parsed = parseManifest(bytes, { mediaType, item: digest, code: 'BUNDLE_CORRUPT' })
    held.manifests.set(digest, bare(descriptor))
    if (parsed.subject !== undefined) {
      const artifactType =
        parsed.artifactType ?? (parsed.type === 'manifest' ? parsed.config.mediaType : undefined)
      const referrer = {
        ...bare(descriptor),
        ...annotationsOf(bytes),
        ...(artifactType ? { artifactType } : {}),
      }
      const list = held.referrers.get(parsed.subject.digest)
      if (list === undefined) held.referrers.set(parsed.subject.digest, [referrer])
      else list.push(referrer)
    }
    if (parsed.type === 'manifest') {
      for (const blob of [parsed.config, ...parsed.layers]) held.blobs.set(blob.digest, bare(blob))
      return
    }
    for (const child of parsed.manifests) {
      if (!isManifestType(child.mediaType) && !isIndexType(child.mediaType)) continue
      // an index is carried unchanged, its children only for the platforms asked for
      if (await this.#store.exists(child)) await this.#walk(child, { held, depth: depth + 1 })
    }
  }
}

function bare({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size }
}

/** distribution-spec "Listing Referrers": the annotations of the manifest itself. */
function annotationsOf(bytes: Buffer): { annotations?: Record<string, string> } {
  const { annotations } = JSON.parse(bytes.toString('utf8')) as { annotations?: unknown }
  if (annotations === null || typeof annotations !== 'object') return {}
  const texts = Object.entries(annotations).filter(([, value]) => typeof value === 'string')
  return texts.length > 0 ? { annotations: Object.fromEntries(texts) } : {}
}
