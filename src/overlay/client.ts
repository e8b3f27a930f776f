import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { writeAtomically } from '../core/atomic-file.ts'
import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError, fromSystemError, isErrorCode } from '../core/errors.ts'
import { mediaTypes } from '../core/media-types.ts'
import { overlayFolder } from './overlay-folder.ts'
import type { BareDescriptor, Lacking, OverlayOwner, SizedContent } from './owner.ts'
import { readPushedManifest } from './pushed-manifest.ts'
import { uploadWriter } from './upload-writer.ts'

type Lookups = 'names' | 'has' | 'manifest' | 'blob' | 'tags' | 'referrers' | 'mount' | 'linkBundleBlob'
type Changes = 'beginUpload' | 'upload' | 'deleteTag' | 'deleteManifest' | 'deleteBlob'

/** The overlay in a process that answers requests: it writes content itself, and the owner decides. */
export interface OverlayClient extends Pick<OverlayOwner, Lookups | Changes> {
  /**
   * Appends a body to an upload; `from` is the offset at which the client says it continues. Returns the number of bytes that the upload has
   * then. Throws NOT_FOUND, BUSY, RANGE_NOT_SATISFIABLE (another offset), NO_SPACE and PERMISSION (the disk or the quota is full;
   * the upload is removed), and what the body throws.
   */
  write(at: UploadPart, body: AsyncIterable<Uint8Array>): Promise<{ size: number }>
  /** Appends a last body, and makes the upload a blob. Throws DIGEST_MISMATCH (the upload is removed), and what `write` throws. */
  finish(at: UploadPart & { digest: Digest }, body: AsyncIterable<Uint8Array>): Promise<void>
  cancel(at: { name: string; id: string }): Promise<void>
  /** Adds a manifest. Throws MANIFEST_INVALID, DIGEST_MISMATCH, NO_SPACE. */
  push(manifest: PushedManifest): Promise<PushResult>
  close(): Promise<void>
}

export interface UploadPart {
  name: string
  id: string
  from?: number
  /** of the body, bytes, as the client says */
  length?: number
}

export interface PushedManifest {
  name: string
  bytes: Uint8Array
  /** as the client sent it; absent: what the manifest says */
  mediaType?: string
  /** what the client expects */
  digest?: Digest
  tags: string[]
  /** Returns a blob or manifest of the bundle's repository of this name. */
  inBundle(digest: Digest): Promise<SizedContent | undefined>
  /** Returns whether the bytes of this content are there, in a bundle or in the overlay. */
  isServed(content: BareDescriptor): Promise<boolean>
}

/** If anything is lacking, the manifest was not added. */
export interface PushResult extends Lacking {
  descriptor: BareDescriptor
  subject?: Digest
}

/** Opens the client's side of the overlay in this folder. */
export function overlayClient(
  owner: OverlayOwner,
  { folder, holder = randomUUID() }: { folder: string; holder?: string },
): OverlayClient {
  const paths = overlayFolder(folder)
  const writer = uploadWriter()

  /** Writes with a lease of the upload, and gives that back. */
  async function leased<T>(
    { name, id, from }: UploadPart,
    work: (size: number) => Promise<{ size: number; result: T } | { done: T }>,
  ): Promise<T> {
    const lease = { name, id, holder }
    const { size } = await owner.leaseUpload(lease)
    let after = size
    try {
      if (from !== undefined && from !== size) throw otherOffset(id, { size, from })
      const outcome = await work(size)
      if ('done' in outcome) return outcome.done
      after = outcome.size
      return outcome.result
    } catch (error) {
      if (error instanceof BodyCut) {
        after = error.size
        throw error.cause
      }
      // a file that could not be written to, and bytes that are not those of the digest, are of no use
      if (!isErrorCode(error, 'RANGE_NOT_SATISFIABLE')) {
        writer.forget(id)
        await owner.cancelUpload(lease).catch(() => {})
      }
      throw error
    } finally {
      await owner.releaseUpload({ ...lease, size: after })
    }
  }

  async function append(
    { name, id, size, length }: UploadPart & { size: number },
    body: AsyncIterable<Uint8Array>,
  ): Promise<{ size: number }> {
    let refusal: unknown
    const expected = length === undefined ? undefined : size + length
    /** Passes on what the owner has counted. */
    async function* counted(): AsyncIterable<Uint8Array> {
      let [total, reserved] = [size, size]
      for await (const chunk of body) {
        total += chunk.length
        if (total > reserved) {
          try {
            const asked = { name, id, holder, size: total, ...defined({ expected }) }
            reserved = (await owner.reserveUpload(asked)).size
          } catch (error) {
            refusal = error
            throw error
          }
        }
        yield chunk
      }
    }
    const appended = await writer.append({ id, size, path: paths.upload(id) }, counted())
    // not the client's doing: the upload is of no use
    if (refusal !== undefined) throw refusal
    if (appended.cut !== undefined) throw new BodyCut(appended)
    return appended
  }

  return {
    names: owner.names,
    has: owner.has,
    manifest: owner.manifest,
    blob: owner.blob,
    tags: owner.tags,
    referrers: owner.referrers,
    mount: owner.mount,
    linkBundleBlob: owner.linkBundleBlob,
    beginUpload: owner.beginUpload,
    upload: owner.upload,
    deleteTag: owner.deleteTag,
    deleteManifest: owner.deleteManifest,
    deleteBlob: owner.deleteBlob,
    write: (at, body) =>
      leased(at, async size => {
        const appended = await append({ ...at, size }, body)
        return { size: appended.size, result: appended }
      }),
    finish: ({ digest, ...at }, body) =>
      leased(at, async before => {
        const { id } = at
        const { size } = await append({ ...at, size: before }, body)
        const found = await writer.finish({ path: paths.upload(id), id, size })
        if (found !== digest) throw otherDigest(digest, found)
        await owner.commitUpload({ name: at.name, id, holder, digest, size })
        return { done: undefined }
      }),
    async cancel({ name, id }) {
      await owner.cancelUpload({ name, id, holder })
      writer.forget(id)
    },
    async push({ name, bytes, mediaType, digest, tags, inBundle, isServed }) {
      const record = readPushedManifest(bytes, { mediaType })
      const { descriptor, subject } = record
      if (digest !== undefined && digest !== descriptor.digest) throw otherDigest(digest, descriptor.digest)
      const known: SizedContent[] = []
      const served: Digest[] = []
      const referred = new Map([...record.blobs, ...record.children].map(one => [one.digest, one.size]))
      for (const [digest, size] of referred) {
        const found = await inBundle(digest)
        if (found !== undefined) known.push({ digest, size: found.size })
        else if (await isServed({ mediaType: mediaTypes.octets, digest, size })) served.push(digest)
      }
      const staged = `${randomUUID()}.manifest`
      try {
        await writeAtomically(paths.upload(staged), bytes, 0o600)
        const lacking = await owner.putManifest({ name, record, tags, staged, inBundle: known, served })
        return { descriptor, ...lacking, ...defined({ subject }) }
      } catch (error) {
        await rm(paths.upload(staged), { force: true })
        throw fromSystemError(error, paths.uploads)
      }
    },
    close: () => writer.close(),
  }
}

/** The client has disconnected: what it has sent so far stays. */
class BodyCut extends Error {
  readonly size: number

  constructor({ size, cut }: { size: number; cut?: unknown }) {
    super('the body broke off', { cause: cut })
    this.size = size
  }
}

function otherOffset(id: string, { size, from }: { size: number; from: number }): AirgapError {
  return new AirgapError(
    'RANGE_NOT_SATISFIABLE',
    `the upload has ${size} bytes, and the part starts at ${from}`,
    {
      item: id,
      next: 'query the offset of the upload, then continue from there',
    },
  )
}

function otherDigest(expected: Digest, found: Digest): AirgapError {
  return new AirgapError('DIGEST_MISMATCH', 'the content is not what its digest says', {
    item: expected,
    likely: `it is ${found}: the content was damaged on its way, or changed since the client hashed it`,
    next: 'push it again',
  })
}
