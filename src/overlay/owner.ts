import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'

/** Content as the overlay names it: no annotations. */
export type BareDescriptor = Pick<Descriptor, 'mediaType' | 'digest' | 'size'>

/** What a manifest in the overlay refers to, and what is listed about it. */
export interface ManifestRecord {
  descriptor: BareDescriptor
  /** of the manifest, else the media type of its config */
  artifactType?: string
  /** only those of a manifest with a subject, and only if they are not too large to be listed */
  annotations?: Record<string, string>
  subject?: Digest
  /** config and layers, without those that registries may lack */
  blobs: SizedContent[]
  /** layers that registries may lack ("non-distributable"): kept where they were pushed */
  optional: SizedContent[]
  /** entries of an index */
  children: SizedContent[]
}

/** Content that a manifest refers to. */
export interface SizedContent {
  digest: Digest
  /** bytes */
  size: number
}

/** A repository and something in it. */
export interface InRepository {
  name: string
}

/** An upload session belongs to one repository. */
export interface UploadName extends InRepository {
  id: string
}

/** A lease of an upload: one writer at a time, and only this process. */
export interface UploadLease extends UploadName {
  /** the process that writes */
  holder: string
}

/** Where an upload comes to its end as a blob. */
export interface UploadCommit extends UploadLease {
  digest: Digest
  /** bytes */
  size: number
}

export interface ManifestPush extends InRepository {
  record: ManifestRecord
  tags: string[]
  /** name of the file with its bytes, synced, in the folder of uploads */
  staged: string
  /** those of its `blobs` and `children` that the bundle's repository of this name has, with their true sizes */
  inBundle: SizedContent[]
  /** those of the others whose bytes a bundle or the overlay has: what is linked may have been content of a bundle that is gone */
  served: Digest[]
}

/** What a manifest refers to and the repository does not have. */
export interface Lacking {
  missing: Digest[]
  /** content that is there, with another size than the manifest says */
  wrongSize: Digest[]
}

/**
 * The one owner of the overlay's metadata. Arguments and results are JSON: serving processes call it through their supervisor. What it has
 * acknowledged is on disk. Throws NOT_FOUND for an unknown upload, BUSY for one that another request writes to, PERMISSION for a deletion that
 * would damage other content and for content that exceeds the quota, NO_SPACE, IO.
 */
export interface OverlayOwner {
  /** Returns the names of all repositories with a manifest. */
  names(): Promise<string[]>
  /** Returns whether anything was pushed to this repository. */
  has(at: InRepository): Promise<boolean>
  /** `reference` is a tag or a digest; null: not in this repository */
  manifest(at: InRepository & { reference: string }): Promise<BareDescriptor | null>
  blob(at: InRepository & { digest: Digest }): Promise<BareDescriptor | null>
  tags(at: InRepository): Promise<string[]>
  referrers(at: InRepository & { subject: Digest }): Promise<Descriptor[]>

  /** Opens an upload, with an empty file. One that is sent `whole`, with the request that opens it, has no name by which anybody could continue it. */
  beginUpload(at: InRepository & { whole?: boolean }): Promise<{ id: string }>
  /** Returns the number of bytes that an upload has. */
  upload(at: UploadName): Promise<{ size: number }>
  /** Lets one request write to the upload, from byte `size` on. */
  leaseUpload(at: UploadLease): Promise<{ size: number }>
  /**
   * Counts bytes of a leased upload before they are written: `size` of the file with them. Returns the size up to which the writer need not
   * call again. Throws PERMISSION where that, or the size that the file is expected to have, exceeds the quota.
   */
  reserveUpload(at: UploadLease & { size: number; expected?: number }): Promise<{ size: number }>
  /** Ends a lease; the upload has `size` bytes now. */
  releaseUpload(at: UploadLease & { size: number }): Promise<void>
  /** Makes the file of a leased upload, whose bytes are verified and synced, a blob of the repository. */
  commitUpload(at: UploadCommit): Promise<void>
  /** Removes an upload; one that this process leases, too. */
  cancelUpload(at: UploadLease): Promise<void>
  /** Ends all leases of a process that has ended. */
  releaseAll(at: { holder: string }): Promise<void>

  /** Adds a blob of repository `from` (absent: of any) to another one; null: it is not there. */
  mount(at: InRepository & { digest: Digest; from?: string }): Promise<BareDescriptor | null>
  /** Adds a blob that a bundle has to a repository. */
  linkBundleBlob(at: InRepository & { blob: BareDescriptor }): Promise<void>
  /** Adds a manifest with its tags, unless anything is lacking. */
  putManifest(push: ManifestPush): Promise<Lacking>
  /** The following three return false for content that does not exist. */
  deleteTag(at: InRepository & { tag: string }): Promise<boolean>
  deleteManifest(at: InRepository & { digest: Digest }): Promise<boolean>
  deleteBlob(at: InRepository & { digest: Digest }): Promise<boolean>
}
