import { Readable } from 'node:stream'
import { maxManifestSize } from '../../content/read.ts'
import { type ParsedManifest, parseManifest } from '../../content/successors.ts'
import { compareText } from '../../core/canonical-json.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import type { Digest } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { isForeignLayerType, isIndexType, isManifestType } from '../../core/media-types.ts'
import { formatPlatform, matchesPlatform, type Platform } from '../../core/platform.ts'
import { formatReference, type Reference } from '../../core/reference.ts'
import type { ResolvedManifest } from '../../remote/contract.ts'
import type { ResolveContext } from '../kind.ts'
import type { ImageRequest } from './entry.ts'
import type { LockedImage } from './locked.ts'

/** Nesting of indexes beyond this is refused; nobody publishes it, and it ends a cycle. */
const maxDepth = 3
const maxReferrers = 100

/** Walks an image from its name down, so that the lock has the digest and size of everything it needs. */
export async function resolveImage(request: ImageRequest, context: ResolveContext): Promise<LockedImage> {
  const walk = new ImageWalk(request, context)
  const root = await context.registry.manifest(request.from)
  await walk.add(root, 0)
  walk.checkPlatforms()
  const referrers = request.referrers ? await walk.addReferrers() : []
  const { host, repository } = request.from
  return {
    name: formatReference(request.reference),
    from: `${host}/${repository}`,
    digest: root.descriptor.digest,
    platforms: [...walk.platforms].sort(compareText),
    manifests: [...walk.manifests.values()],
    blobs: [...walk.blobs.values()].sort((a, b) => compareText(a.digest, b.digest)),
    ...(referrers.length > 0 ? { referrers: referrers.sort(compareText) } : {}),
  }
}

class ImageWalk {
  readonly manifests = new Map<Digest, LockedImage['manifests'][number]>()
  readonly blobs = new Map<Digest, LockedImage['blobs'][number]>()
  readonly platforms = new Set<string>()
  readonly #offered = new Set<string>()
  readonly #request: ImageRequest
  readonly #context: ResolveContext

  constructor(request: ImageRequest, context: ResolveContext) {
    this.#request = request
    this.#context = context
  }

  async add(manifest: ResolvedManifest, depth: number): Promise<void> {
    const { descriptor, bytes } = manifest
    if (this.manifests.has(descriptor.digest)) return
    const { mediaType, digest, size } = descriptor
    this.manifests.set(digest, { mediaType, digest, size })
    await this.#context.cache.push(descriptor, Readable.from([bytes]))
    const parsed = parseManifest(bytes, { mediaType, item: this.#name(digest) })
    if (parsed.type === 'manifest') await this.#addImage(parsed)
    else await this.#addIndex(parsed, depth)
  }

  async #addIndex(index: ParsedManifest & { type: 'index' }, depth: number): Promise<void> {
    if (depth >= maxDepth)
      throw this.#error('UNSUPPORTED', 'indexes are nested too deeply', 'ask the publisher for a plain index')
    for (const child of index.manifests) {
      if (child.platform) this.#offered.add(formatPlatform(child.platform))
      if (!this.#wanted(child.platform)) continue
      if (!isManifestType(child.mediaType) && !isIndexType(child.mediaType)) continue
      if (child.size > maxManifestSize)
        throw this.#error(
          'UPSTREAM_INVALID',
          `a manifest of ${child.size} bytes`,
          'report it to the publisher',
        )
      if (child.platform) this.platforms.add(formatPlatform(child.platform))
      const found = await this.#context.registry.manifest(this.#at(child.digest))
      if (found.descriptor.size !== child.size) {
        throw this.#error(
          'SIZE_MISMATCH',
          `the index states ${child.size} bytes for a manifest of ${found.descriptor.size}`,
          'report it to the publisher',
        )
      }
      await this.add({ ...found, descriptor: { ...found.descriptor, mediaType: child.mediaType } }, depth + 1)
    }
  }

  async #addImage(image: ParsedManifest & { type: 'manifest' }): Promise<void> {
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
    if (
      image.config.mediaType.endsWith('image.v1+json') ||
      image.config.mediaType.includes('oci.image.config')
    ) {
      await this.#readConfig(image.config)
    }
  }

  /** A single image has its platform in its config; an index is checked by its entries. */
  async #readConfig(config: Descriptor): Promise<void> {
    const bytes = await this.#context.registry.blob(this.#request.from, config)
    await this.#context.cache.push(config, Readable.from([bytes]))
    if (this.#offered.size > 0) return
    const platform = platformOfConfig(bytes)
    if (platform === undefined) return
    this.#offered.add(formatPlatform(platform))
    if (this.#wanted(platform)) this.platforms.add(formatPlatform(platform))
  }

  #addBlob(descriptor: Descriptor, urls?: string[]): void {
    const { mediaType, digest, size } = descriptor
    const known = this.blobs.get(digest)
    if (known && known.size !== size)
      throw this.#error('UPSTREAM_INVALID', `states two sizes for ${digest}`, 'report it to the publisher')
    this.blobs.set(digest, { mediaType, digest, size, ...(urls?.length ? { urls } : {}) })
  }

  #wanted(platform: Platform | undefined): boolean {
    if (platform === undefined || platform.architecture === 'unknown') return platform === undefined
    return this.#request.platforms.some(wanted => matchesPlatform(wanted, platform))
  }

  /** Every requested platform must exist: a node of a missing one would fail on site. */
  checkPlatforms(): void {
    if (this.#offered.size === 0) return
    const carried = [...this.platforms]
    const missing = this.#request.platforms.filter(
      wanted => !carried.some(text => matchesPlatform(wanted, toPlatform(text))),
    )
    if (missing.length === 0) return
    throw new AirgapError('PLATFORM_MISSING', `not published for ${missing.map(formatPlatform).join(', ')}`, {
      item: `${formatReference(this.#request.reference)} (${this.#request.at})`,
      likely: `available: ${[...this.#offered].sort(compareText).join(', ')}`,
      next: 'narrow `platforms:` for this image, or choose another tag',
    })
  }

  async addReferrers(): Promise<Digest[]> {
    const found: Digest[] = []
    for (const subject of [...this.manifests.keys()]) {
      for (const referrer of await this.#context.registry.referrers(this.#request.from, subject)) {
        if (found.length >= maxReferrers)
          throw this.#error('UNSUPPORTED', `has more than ${maxReferrers} referrers`, 'leave referrers out')
        await this.add(await this.#context.registry.manifest(this.#at(referrer.digest)), 0)
        found.push(referrer.digest)
      }
    }
    return found
  }

  #at(digest: Digest): Reference {
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

/** image-spec config.md#properties; undefined where the config declares no platform. */
function platformOfConfig(bytes: Buffer): Platform | undefined {
  let config: unknown
  try {
    config = JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
  const { os, architecture, variant } = (config ?? {}) as Record<string, unknown>
  if (typeof os !== 'string' || typeof architecture !== 'string') return undefined
  return { os, architecture, ...(typeof variant === 'string' && variant ? { variant } : {}) }
}

function toPlatform(text: string): Platform {
  const [os, architecture, variant] = text.split('/') as [string, string, string | undefined]
  return variant ? { os, architecture, variant } : { os, architecture }
}

/** An address that the lock may carry: no user and no password in it. */
function isPublicUrl(url: string): boolean {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) return false
  const { username, password } = new URL(url)
  return username === '' && password === ''
}
