import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import { parseManifest } from '../content/successors.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { isIndexType, isManifestType } from '../core/media-types.ts'

/** A bundle with indexes nested deeper than this is damaged: the builder refuses them. */
const maxDepth = 8

/** Everything that the manifests of one repository reference. */
interface Contents {
  manifests: Map<Digest, Descriptor>
  blobs: Map<Digest, Descriptor>
  /** subject → its referrers */
  referrers: Map<Digest, Descriptor[]>
}

/**
 * One repository of the site. Only its own content answers, so that a name reveals nothing about another one. Its manifests
 * are read at the first request for something below a tag: starting a site reads none.
 */
export class SiteRepository {
  readonly #store: ReadableStore
  readonly #tags = new Map<string, Descriptor>()
  /** tag → position of the bundle that it is from */
  readonly #bundles = new Map<string, number>()
  readonly #roots = new Map<Digest, Descriptor>()
  #contents: Promise<Contents> | undefined

  constructor(store: ReadableStore) {
    this.#store = store
  }

  get tags(): ReadonlyMap<string, Descriptor> {
    return this.#tags
  }

  /**
   * Adds an image or chart. Of two bundles with the same tag the later one wins, and the other content is found by its digest alone. Throws
   * NAME_COLLISION if the tag has another content in the same bundle.
   */
  add(
    root: Descriptor,
    { tag, name, bundle = 0 }: { tag: string | undefined; name: string; bundle?: number },
  ): void {
    const descriptor = bare(root)
    this.#roots.set(descriptor.digest, descriptor)
    this.#contents = undefined
    if (tag === undefined) return
    const other = this.#tags.get(tag)
    if (other !== undefined && other.digest !== descriptor.digest && this.#bundles.get(tag) === bundle) {
      throw new AirgapError('NAME_COLLISION', 'one name has two different contents', {
        item: name,
        likely: `${other.digest} and ${descriptor.digest} are two charts with the same name and version`,
        next: 'remove one of the charts from the manifest, and build the bundle again',
      })
    }
    this.#tags.set(tag, descriptor)
    this.#bundles.set(tag, bundle)
  }

  async manifest(digest: Digest): Promise<Descriptor | undefined> {
    return this.#roots.get(digest) ?? (await this.#all()).manifests.get(digest)
  }

  async blob(digest: Digest): Promise<Descriptor | undefined> {
    const found = (await this.#all()).blobs.get(digest)
    // foreign layers are listed, and may be left out
    return found !== undefined && (await this.#store.exists(found)) ? found : undefined
  }

  async referrers(subject: Digest): Promise<readonly Descriptor[]> {
    return (await this.#all()).referrers.get(subject) ?? []
  }

  #all(): Promise<Contents> {
    if (this.#contents === undefined) {
      const reading = this.#read()
      this.#contents = reading
      // a medium that was unplugged may come back: the next request reads again
      reading.catch(() => {
        if (this.#contents === reading) this.#contents = undefined
      })
    }
    return this.#contents
  }

  async #read(): Promise<Contents> {
    const contents: Contents = { manifests: new Map(), blobs: new Map(), referrers: new Map() }
    for (const root of this.#roots.values()) await this.#walk(root, { contents, depth: 0 })
    return contents
  }

  async #walk(
    descriptor: Descriptor,
    { contents, depth }: { contents: Contents; depth: number },
  ): Promise<void> {
    if (contents.manifests.has(descriptor.digest)) return
    if (depth > maxDepth) {
      throw new AirgapError('BUNDLE_CORRUPT', 'indexes are nested too deeply', { item: descriptor.digest })
    }
    const bytes = await readAll(this.#store, descriptor)
    const { mediaType, digest } = descriptor
    const parsed = parseManifest(bytes, { mediaType, item: digest, code: 'BUNDLE_CORRUPT' })
    contents.manifests.set(digest, bare(descriptor))
    if (parsed.subject !== undefined) {
      const artifactType =
        parsed.artifactType ?? (parsed.type === 'manifest' ? parsed.config.mediaType : undefined)
      const referrer = defined({
        ...bare(descriptor),
        annotations: annotationsOf(bytes),
        artifactType: artifactType || undefined,
      })
      const list = contents.referrers.get(parsed.subject.digest)
      if (list === undefined) contents.referrers.set(parsed.subject.digest, [referrer])
      else list.push(referrer)
    }
    if (parsed.type === 'manifest') {
      for (const blob of [parsed.config, ...parsed.layers]) contents.blobs.set(blob.digest, bare(blob))
      return
    }
    for (const child of parsed.manifests) {
      if (!isManifestType(child.mediaType) && !isIndexType(child.mediaType)) continue
      // an index is carried unchanged, its children only for the requested platforms
      if (await this.#store.exists(child)) await this.#walk(child, { contents, depth: depth + 1 })
    }
  }
}

function bare({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size }
}

/** distribution-spec "Listing Referrers": the annotations of the manifest itself; undefined if it has none. */
function annotationsOf(bytes: Buffer): Record<string, string> | undefined {
  const { annotations } = JSON.parse(bytes.toString('utf8')) as { annotations?: unknown }
  if (annotations === null || typeof annotations !== 'object') return undefined
  const texts = Object.entries(annotations).filter(([, value]) => typeof value === 'string')
  return texts.length > 0 ? Object.fromEntries(texts) : undefined
}
