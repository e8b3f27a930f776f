import { Readable } from 'node:stream'
import { maxManifestSize } from '../../content/read.ts'
import { type ParsedManifest, parseManifest } from '../../content/successors.ts'
import { compareText } from '../../core/canonical-json.ts'
import { defined } from '../../core/defined.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import type { Digest } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { isForeignLayerType, isIndexType } from '../../core/media-types.ts'
import {
  formatPlatform,
  isUnknownPlatform,
  type Platform,
  preferredPlatforms,
  readPlatform,
} from '../../core/platform.ts'
import { formatReference, type Reference } from '../../core/reference.ts'
import type { LeftOut } from '../../lock/left-out.ts'
import { leftOutReason, notCarriable } from '../../lock/left-out-reason.ts'
import type { ResolvedManifest } from '../../remote/contract.ts'
import type { ResolveContext } from '../kind.ts'
import type { ImageRequest } from './entry.ts'
import { type IndexEntry, readIndex, selectEntries } from './index-entries.ts'
import type { LockedImage } from './locked.ts'

/** Nesting of indexes beyond this is refused; nobody publishes it, and it ends a cycle. */
const maxDepth = 3

/** Signatures and attestations are smaller; what is larger is fetched by the build. */
const maxOptionalBlob = 1 << 20 /* bytes */

/** Walks from a manifest down to everything that the site needs of it. */
export class ImageWalk {
  /** in the order in which they were reached, the root first */
  readonly manifests = new Map<Digest, LockedImage['manifests'][number]>()
  readonly blobs = new Map<Digest, LockedImage['blobs'][number]>()
  /** of the carried images, as the publisher writes them */
  readonly platforms = new Map<string, Platform>()
  /** manifests that describe another one of the same index: BuildKit's attestations */
  readonly attestations = new Set<Digest>()
  readonly leftOut: LeftOut[] = []
  readonly #offered = new Set<string>()
  readonly #request: ImageRequest
  readonly #context: ResolveContext

  constructor(request: ImageRequest, context: ResolveContext) {
    this.#request = request
    this.#context = context
  }

  /** Adds a manifest with what it needs. Throws PLATFORM_MISSING unless every requested platform is published. */
  async addRoot(root: ResolvedManifest): Promise<void> {
    await this.#add(root, 0)
    const { digest, mediaType } = root.descriptor
    if (isIndexType(mediaType) && this.manifests.size === 1) throw this.#nothingIn(digest)
    this.#checkPlatforms()
  }

  /**
   * Adds what the image is complete without: all of it, or nothing and a line in `leftOut`. Wrong digests and outages are errors here,
   * too.
   */
  async addOptional(name: string, find: () => Promise<ResolvedManifest>): Promise<Digest | undefined> {
    const trial = new ImageWalk(this.#request, this.#context)
    try {
      const found = await find()
      await trial.#add(found, 0)
      await trial.#fetchSmallBlobs()
      this.#merge(trial)
      return found.descriptor.digest
    } catch (error) {
      if (!isErrorCode(error, ...notCarriable)) throw error
      this.leaveOut({ name, reason: leftOutReason(error) })
      return undefined
    }
  }

  /** A build must not fail for what is optional: a layer that the registry has lost is found out now. */
  async #fetchSmallBlobs(): Promise<void> {
    const { registry, cache } = this.#context
    for (const { urls, ...blob } of this.blobs.values()) {
      if (urls !== undefined || blob.size > maxOptionalBlob || (await cache.exists(blob))) continue
      await this.#keep(blob, await registry.blob(this.#request.from, blob))
    }
  }

  /** A build that finds a damaged copy in the cache fetches it from the registry again. */
  async #keep(descriptor: Descriptor, bytes: Buffer): Promise<void> {
    await this.#context.cache.push(descriptor, Readable.from([bytes]), { durable: false })
  }

  leaveOut({ name, reason }: LeftOut): void {
    if (!this.leftOut.some(known => known.name === name)) this.leftOut.push({ name, reason })
  }

  /** All or nothing: throws UPSTREAM_INVALID before anything is added. */
  #merge(other: ImageWalk): void {
    for (const blob of other.blobs.values()) this.#checkSize(blob)
    for (const [digest, manifest] of other.manifests)
      if (!this.manifests.has(digest)) this.manifests.set(digest, manifest)
    for (const { urls, ...descriptor } of other.blobs.values()) this.#addBlob(descriptor, urls)
    for (const one of other.leftOut) this.leaveOut(one)
  }

  async #add(manifest: ResolvedManifest, depth: number): Promise<void> {
    const { mediaType, digest, size } = manifest.descriptor
    if (this.manifests.has(digest)) return
    const parsed = await this.#read(manifest)
    this.manifests.set(digest, { mediaType, digest, size })
    if (parsed.type === 'index') await this.#addIndex(parsed, { depth, digest })
    else await this.#addImage(parsed, depth)
  }

  async #read({ descriptor, bytes }: ResolvedManifest): Promise<ParsedManifest> {
    const { mediaType, digest } = descriptor
    const parsed = parseManifest(bytes, { mediaType, item: this.#name(digest) })
    await this.#keep(descriptor, bytes)
    return parsed
  }

  async #addIndex(
    index: ParsedManifest & { type: 'index' },
    { depth, digest }: { depth: number; digest: Digest },
  ): Promise<void> {
    if (depth >= maxDepth)
      throw this.#error('UNSUPPORTED', 'indexes are nested too deeply', 'ask the publisher for a plain index')
    const read = readIndex(index)
    const entries: IndexEntry[] = []
    for (const entry of read.entries) entries.push(await this.#withPlatform(entry))
    for (const { platform } of entries) if (platform) this.#offered.add(formatPlatform(platform))
    const { selected, leftOut } = selectEntries([...entries, ...read.unreadable], this.#request.platforms)
    for (const one of leftOut) this.leaveOut(one)
    for (const entry of selected) {
      const { descriptor, platform, found } = entry
      const isArtifact = platform === undefined && found !== undefined
      if (isArtifact) await this.addOptional(descriptor.digest, async () => found)
      else await this.#addEntry(entry, depth)
    }
    for (const { descriptor, describes } of read.attestations) {
      if (describes !== undefined && !this.manifests.has(describes)) continue
      const added = await this.addOptional(descriptor.digest, () => this.#child(descriptor))
      if (added !== undefined) this.attestations.add(added)
    }
    const isCarried = index.manifests.some(entry => this.manifests.has(entry.digest))
    if (isCarried || index.manifests.length + index.unreadable.length === 0) return
    // an index of which nothing is carried is not one that a bundle may contain
    if (depth === 0) throw this.#nothingIn(digest)
    this.manifests.delete(digest)
  }

  /** Looks a missing platform up in the config of the image; an artifact has none there either, and an index has several. */
  async #withPlatform(entry: IndexEntry): Promise<IndexEntry> {
    const { descriptor, platform } = entry
    if (platform !== undefined || isIndexType(descriptor.mediaType)) return entry
    try {
      const found = await this.#child(descriptor)
      const parsed = await this.#read(found)
      if (parsed.type !== 'manifest') return { ...entry, found }
      return defined({ ...entry, found, platform: await this.#configPlatform(parsed.config) })
    } catch (error) {
      if (!isErrorCode(error, 'NOT_FOUND_UPSTREAM', 'UPSTREAM_INVALID', 'UNSUPPORTED')) throw error
      return { ...entry, unusable: leftOutReason(error) }
    }
  }

  async #addEntry({ descriptor, platform, found }: IndexEntry, depth: number): Promise<void> {
    const child = found ?? (await this.#child(descriptor))
    await this.#add(child, depth + 1)
    if (platform !== undefined && this.manifests.has(descriptor.digest))
      this.platforms.set(formatPlatform(platform), platform)
  }

  /** Fetches an entry of an index. Throws SIZE_MISMATCH where it does not have the size that the index states. */
  async #child(descriptor: Descriptor): Promise<ResolvedManifest> {
    const { mediaType, digest, size } = descriptor
    if (size > maxManifestSize)
      throw this.#error('UPSTREAM_INVALID', `a manifest of ${size} bytes`, 'report it to the publisher')
    const found = await this.#context.registry.manifest(this.at(digest))
    if (found.descriptor.size !== size) {
      throw this.#error(
        'SIZE_MISMATCH',
        `the index states ${size} bytes for a manifest of ${found.descriptor.size}`,
        'report it to the publisher',
      )
    }
    return { ...found, descriptor: { ...found.descriptor, mediaType } }
  }

  async #addImage(image: ParsedManifest & { type: 'manifest' }, depth: number): Promise<void> {
    this.#addBlob(image.config)
    for (const layer of image.layers) {
      if (!isForeignLayerType(layer.mediaType)) {
        this.#addBlob(layer)
        continue
      }
      if (this.#request.foreignLayers === 'refuse') {
        throw this.#error(
          'UNSUPPORTED',
          `has a foreign layer (${layer.mediaType}) that its registry need not hold`,
          'set foreignLayers: fetch for this image if you may redistribute it, or choose another image',
        )
      }
      this.#addBlob(layer, layer.urls?.filter(isPublicUrl))
    }
    const platform = await this.#configPlatform(image.config)
    // an index is checked by its entries
    if (platform === undefined || depth > 0) return
    this.#offered.add(formatPlatform(platform))
    if (this.#request.platforms.some(wanted => preferredPlatforms(wanted, [platform]).length > 0))
      this.platforms.set(formatPlatform(platform), platform)
  }

  /** image-spec config.md#properties; undefined where the config declares no platform: cosign's signatures, artifacts. */
  async #configPlatform(config: Descriptor): Promise<Platform | undefined> {
    if (!config.mediaType.endsWith('image.v1+json') && !config.mediaType.includes('oci.image.config'))
      return undefined
    const bytes = await this.#context.registry.blob(this.#request.from, config)
    await this.#keep(config, bytes)
    const platform = readPlatform(parseJson(bytes))
    if (platform.architecture === '' || isUnknownPlatform(platform)) return undefined
    // containerd takes its own OS where the config has none
    return { ...platform, os: platform.os || 'linux' }
  }

  #addBlob(descriptor: Descriptor, urls?: string[]): void {
    const { mediaType, digest, size } = descriptor
    this.#checkSize(descriptor)
    this.blobs.set(digest, defined({ mediaType, digest, size, urls: urls?.length ? urls : undefined }))
  }

  #checkSize({ digest, size }: Pick<Descriptor, 'digest' | 'size'>): void {
    const known = this.blobs.get(digest)
    if (known && known.size !== size)
      throw this.#error('UPSTREAM_INVALID', `states two sizes for ${digest}`, 'report it to the publisher')
  }

  /** Every requested platform must exist: a node of a missing one would fail on site. */
  #checkPlatforms(): void {
    if (this.#offered.size === 0) return
    const carried = [...this.platforms.values()]
    const missing = this.#request.platforms.filter(wanted => preferredPlatforms(wanted, carried).length === 0)
    if (missing.length === 0) return
    const available = `available: ${[...this.#offered].sort(compareText).join(', ')}`
    throw new AirgapError('PLATFORM_MISSING', `not published for ${missing.map(formatPlatform).join(', ')}`, {
      item: `${formatReference(this.#request.reference)} (${this.#request.at})`,
      likely: [available, ...this.#reasons(missing)].join('; '),
      next: 'narrow `platforms:` for this image, or choose another tag',
    })
  }

  #nothingIn(digest: Digest): AirgapError {
    const reasons = this.#reasons(this.#request.platforms)
    return new AirgapError('PLATFORM_MISSING', 'the index has no image that can be carried', {
      item: `${this.#name(digest)} (${this.#request.at})`,
      likely: [`available: ${[...this.#offered].sort(compareText).join(', ') || 'nothing'}`, ...reasons].join(
        '; ',
      ),
      next: 'set `platforms:` of this image to what is available, or choose another tag',
    })
  }

  /** Why entries were left out: those of the missing platforms, if any says so. */
  #reasons(missing: readonly Platform[]): string[] {
    const names = missing.map(platform => `(${formatPlatform(platform)})`)
    const concerned = this.leftOut.filter(({ reason }) => names.some(name => reason.endsWith(name)))
    return (concerned.length > 0 ? concerned : this.leftOut)
      .slice(0, 3)
      .map(({ name, reason }) => `not usable: ${name.slice(0, 80)}: ${reason}`)
  }

  at(digest: Digest): Reference {
    return { host: this.#request.from.host, repository: this.#request.from.repository, digest }
  }

  #name(digest: Digest): string {
    return `${formatReference(this.#request.from)} (${digest.slice(0, 19)})`
  }

  #error(
    code: 'UNSUPPORTED' | 'UPSTREAM_INVALID' | 'SIZE_MISMATCH',
    what: string,
    next: string,
  ): AirgapError {
    return new AirgapError(code, what, {
      item: `${formatReference(this.#request.from)} (${this.#request.at})`,
      next,
    })
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

/** An address that the lock may carry: no user and no password in it. */
function isPublicUrl(url: string): boolean {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) return false
  const { username, password } = new URL(url)
  return username === '' && password === ''
}
