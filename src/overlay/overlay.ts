import { readdir, rm } from 'node:fs/promises'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, isDigest } from '../core/digest.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { humanBytes } from '../core/human-bytes.ts'
import { mediaTypes } from '../core/media-types.ts'
import { openBlobFiles } from './blob-files.ts'
import { type Collected, collect } from './collect.ts'
import { makeOverlayFolder, nameOfFolder } from './overlay-folder.ts'
import type { BareDescriptor, Lacking, ManifestRecord, OverlayOwner, SizedContent } from './owner.ts'
import { type Removed, type RemovedImages, refuseUsed, removeImages } from './remove-images.ts'
import { Repository } from './repository.ts'
import { openReserve } from './reserve.ts'
import { openUploads } from './uploads.ts'

export interface OverlayOptions {
  /** default: the clock of this machine, ms since 1970 */
  now?: () => number
  /**
   * called with each manifest that is left out at the start, because its bytes are missing or other ones; without a digest for a repository
   * whose own files cannot be read
   */
  damaged?: (manifest: { name: string; digest: string }) => void
  /** called with each blob and manifest that was added: its bytes were hashed as they came */
  added?: (content: BareDescriptor) => Promise<void> | void
  /** of all content and uploads, bytes; absent: as much as the disk has */
  quota?: number | undefined
}

export interface OpenOverlay extends OverlayOwner {
  /** Removes content that nothing refers to (collect.ts). */
  collect(until: { before: number /* ms since 1970 */ }): Promise<Collected>
  /** Removes tags and manifests with all that only they need, then content that nothing refers to. Throws NOT_FOUND, PERMISSION, NO_SPACE, IO. */
  removeImages(removal: RemovedImages): Promise<Removed>
  /** Another quota, from now on; undefined: none. */
  setQuota(quota: number | undefined): void
  close(): Promise<void>
}

/** A link that is older, and that a client looks up, is made again: the client may push what refers to it next. */
const refreshLinkMs = 60 * 60 * 1_000
/** An upload to which nothing was sent for so long is removed. */
const uploadExpiresMs = 24 * 60 * 60 * 1_000
const expireEveryMs = 10 * 60 * 1_000

/** Opens the overlay in this folder, and creates it where it is missing. One process at a time may have it open. Throws PERMISSION, NO_SPACE, IO. */
export async function openOverlay(
  folder: string,
  { now = Date.now, damaged = () => {}, added = () => {}, quota: firstQuota }: OverlayOptions = {},
): Promise<OpenOverlay> {
  const paths = await makeOverlayFolder(folder)
  const repositories = new Map<string, Repository>()
  const opening = new Map<string, Promise<Repository>>()
  const unreadable: string[] = []
  let quota = firstQuota
  for (const entry of await readdir(paths.repositories)) {
    const name = nameOfFolder(entry)
    if (name === undefined) continue
    // one that cannot be read is not served, and keeps nothing else from being served
    await openRepository(name).then(
      repository => repositories.set(name, repository),
      () => {
        unreadable.push(name)
        damaged({ name, digest: '' })
      },
    )
  }
  const blobs = await openBlobFiles(paths, {
    // what a repository that cannot be read refers to is not known
    isReferenced: digest =>
      unreadable.length > 0 ||
      [...repositories.values()].some(
        one => one.blobs.has(digest) || one.referred.has(digest) || one.damaged.has(digest),
      ),
  })
  const reserve = await openReserve(paths)
  const uploads = await openUploads(paths, { now })
  await uploads.expire(now() - uploadExpiresMs)
  const timer = setInterval(() => {
    uploads.expire(now() - uploadExpiresMs).catch(() => {})
  }, expireEveryMs).unref()

  function openRepository(name: string): Promise<Repository> {
    return Repository.open(name, { paths, damaged: digest => damaged({ name, digest }) })
  }

  /** Returns the repository; creates it. */
  async function created(name: string): Promise<Repository> {
    const found = repositories.get(name)
    if (found !== undefined) return found
    const opened = opening.get(name) ?? openRepository(name)
    opening.set(name, opened)
    try {
      const repository = await opened
      repositories.set(name, repository)
      return repository
    } finally {
      opening.delete(name)
    }
  }

  const at = () => new Date(now()).toISOString()

  /** Refuses what would exceed the quota; `others` are all bytes but these. */
  function refuseOverQuota(size: number, others: number): void {
    if (quota !== undefined && others + size > quota) throw overQuota({ used: others, quota })
  }

  function blobIn(repository: Repository | undefined, digest: Digest): BareDescriptor | null {
    const blob = repository?.blobs.get(digest)
    return blob === undefined ? null : { mediaType: mediaTypes.octets, digest, size: blob.size }
  }

  const owner: OverlayOwner = {
    names: async () =>
      [...repositories.values()].filter(({ content }) => content.manifests.size > 0).map(({ name }) => name),
    async has({ name }) {
      const found = repositories.get(name)
      return found !== undefined && (found.content.manifests.size > 0 || found.blobs.size > 0)
    },
    async manifest({ name, reference }) {
      const content = repositories.get(name)?.content
      const digest = isDigest(reference) ? reference : content?.tags.get(reference)
      return (digest !== undefined && content?.manifests.get(digest)?.descriptor) || null
    },
    async blob({ name, digest }) {
      const repository = repositories.get(name)
      const found = blobIn(repository, digest)
      const isOld = Date.parse(repository?.blobs.get(digest)?.at ?? '') < now() - refreshLinkMs
      if (!isOld || repository?.referred.has(digest)) return found
      return (
        (await repository?.inTurn(async () => {
          const still = blobIn(repository, digest)
          // on a full disk, the answer is the same
          if (still !== null) await repository.link(digest, { size: still.size, at: at() }).catch(() => {})
          return still
        })) ?? null
      )
    },
    tags: async ({ name }) => [...(repositories.get(name)?.content.tags.keys() ?? [])],
    async referrers({ name, subject }) {
      const manifests = repositories.get(name)?.content.manifests.values() ?? []
      return [...manifests].filter(record => record.subject === subject).map(referrerOf)
    },

    beginUpload: at => uploads.begin(at),
    upload: async asked => ({ size: uploads.size(asked) }),
    leaseUpload: async asked => ({ size: uploads.lease(asked) }),
    async reserveUpload(asked) {
      const others = blobs.bytes() + uploads.bytes() - uploads.counted(asked)
      refuseOverQuota(Math.max(asked.size, asked.expected ?? 0), others)
      return { size: uploads.reserve(asked, (quota ?? Number.POSITIVE_INFINITY) - others - asked.size) }
    },
    releaseUpload: async asked => uploads.release(asked),
    cancelUpload: asked => uploads.remove(asked),
    releaseAll: ({ holder }) => uploads.releaseAll(holder),
    async commitUpload(asked) {
      const { name, id, digest, size } = asked
      const ended = uploads.commit(asked)
      const blob = { mediaType: mediaTypes.octets, digest, size }
      try {
        const repository = await created(name)
        await repository.inTurn(async () => {
          await blobs.adopt({ file: paths.upload(id), content: blob }, () => {
            uploads.uncount(id)
            return repository.link(digest, { size, at: at() })
          })
        })
        await uploads.done(id)
      } finally {
        await ended()
      }
      await added(blob)
    },

    async mount({ name, digest, from }) {
      const sources = from === undefined ? [...repositories.values()] : [repositories.get(from)]
      const blob = sources.map(source => blobIn(source, digest)).find(found => found !== null)
      if (blob === undefined) return null
      await blobs.hold(digest, () => owner.linkBundleBlob({ name, blob }))
      return blob
    },
    async linkBundleBlob({ name, blob }) {
      const repository = await created(name)
      await repository.inTurn(() => repository.link(blob.digest, { size: blob.size, at: at() }))
    },
    async putManifest({ name, record, tags, staged, inBundle, served }) {
      const { descriptor } = record
      if (!blobs.sizes.has(descriptor.digest))
        refuseOverQuota(descriptor.size, blobs.bytes() + uploads.bytes())
      const repository = await created(name)
      const lacking = await repository.inTurn(async () => {
        const isThere = (digest: Digest) => blobs.sizes.has(digest) || served.includes(digest)
        const lacking = lackingOf(record, { repository, inBundle, isThere })
        if (lacking.missing.length + lacking.wrongSize.length > 0) return lacking
        const { content } = repository
        const manifests = new Map(content.manifests).set(descriptor.digest, { ...record, at: at() })
        const tagged = new Map(content.tags)
        for (const tag of tags) tagged.set(tag, descriptor.digest)
        await blobs.adopt({ file: paths.upload(staged), content: descriptor }, () =>
          repository.replace({ manifests, tags: tagged }),
        )
        return lacking
      })
      if (repository.content.manifests.has(descriptor.digest)) await added(descriptor)
      await rm(paths.upload(staged), { force: true })
      return lacking
    },

    async deleteTag({ name, tag }) {
      const repository = repositories.get(name)
      return (
        (await repository?.inTurn(async () => {
          const { tags, manifests } = repository.content
          if (!tags.has(tag)) return false
          const rest = new Map(tags)
          rest.delete(tag)
          await reserve.withSpace(() => repository.replace({ manifests, tags: rest }))
          return true
        })) ?? false
      )
    },
    async deleteManifest({ name, digest }) {
      const repository = repositories.get(name)
      return (
        (await repository?.inTurn(async () => {
          const { content } = repository
          if (!content.manifests.has(digest)) return false
          refuseUsed(content, { digest, as: 'children' })
          const manifests = new Map(content.manifests)
          manifests.delete(digest)
          const tags = new Map([...content.tags].filter(([, target]) => target !== digest))
          await reserve.withSpace(() => repository.replace({ manifests, tags }))
          return true
        })) ?? false
      )
    },
    async deleteBlob({ name, digest }) {
      const repository = repositories.get(name)
      return (
        (await repository?.inTurn(async () => {
          if (!repository.blobs.has(digest)) return false
          refuseUsed(repository.content, { digest, as: 'blobs' })
          await reserve.withSpace(() => repository.unlink([digest]))
          return true
        })) ?? false
      )
    },
  }

  const collection = { repositories, blobs, unreadable, reserve }
  return {
    ...namedErrors(owner, folder),
    async collect(until) {
      try {
        return await collect(collection, until)
      } catch (error) {
        throw fromSystemError(error, folder)
      }
    },
    async removeImages(removal) {
      try {
        return await removeImages(collection, removal)
      } catch (error) {
        throw fromSystemError(error, folder)
      }
    },
    setQuota(next) {
      quota = next
    },
    async close() {
      clearInterval(timer)
      await Promise.all([...repositories.values()].map(repository => repository.close()))
    },
  }
}

/** Content must be there, with the size that the manifest says: every pull would fail otherwise. */
function lackingOf(
  { blobs, children }: ManifestRecord,
  {
    repository,
    inBundle,
    isThere,
  }: {
    repository: Repository
    inBundle: readonly SizedContent[]
    /** a link does not say so: it may be to content of a bundle that is gone */
    isThere: (digest: Digest) => boolean
  },
): Lacking {
  const sizes = new Map(inBundle.map(({ digest, size }) => [digest, size]))
  const sizeOf = (digest: Digest) =>
    repository.content.manifests.get(digest)?.descriptor.size ??
    (isThere(digest) ? repository.blobs.get(digest)?.size : undefined) ??
    sizes.get(digest)
  const referred = [
    ...new Map([...blobs, ...children].map(one => [`${one.digest} ${one.size}`, one])).values(),
  ]
  const missing = referred.filter(({ digest }) => sizeOf(digest) === undefined)
  const wrong = referred.filter(({ digest, size }) => (sizeOf(digest) ?? size) !== size)
  return { missing: missing.map(({ digest }) => digest), wrongSize: wrong.map(({ digest }) => digest) }
}

/** Every system error names the overlay, and has advice. */
function namedErrors(owner: OverlayOwner, folder: string): OverlayOwner {
  const calls = Object.entries(owner).map(([name, call]) => [
    name,
    async (argument: never) => {
      try {
        return await (call as (argument: never) => Promise<unknown>)(argument)
      } catch (error) {
        throw fromSystemError(error, folder)
      }
    },
  ])
  return Object.fromEntries(calls) as OverlayOwner
}

/** distribution-spec, "Listing Referrers": a descriptor with the annotations of the manifest itself. */
function referrerOf({ descriptor, artifactType, annotations }: ManifestRecord): Descriptor {
  return { ...descriptor, ...defined({ artifactType, annotations }) }
}

function overQuota({ used, quota }: { used: number; quota: number }): AirgapError {
  return new AirgapError('PERMISSION', 'the quota for pushed content is exceeded', {
    item: `${humanBytes(used)} of ${humanBytes(quota)} are used, uploads in progress included`,
    next: 'on the host of the registry, remove images with `offline-deploy images prune`, or raise --overlay-quota',
  })
}
