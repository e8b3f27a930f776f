import { Readable } from 'node:stream'
import type { BundleStore } from '../bundle/reader.ts'
import { signedContent } from '../bundle/signed-content.ts'
import { defined } from '../core/defined.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import { type Progress, silentProgress } from '../core/progress.ts'
import { addToReferrersTag } from '../remote/referrers-tag.ts'
import { findManifest } from '../remote/registry-manifest.ts'
import { type RegistryUpload, registryUpload } from '../remote/registry-upload.ts'
import { type BundleFile, bundleSuffixes, readBundleFiles } from '../signature/bundle-files.ts'
import { parseStatement } from '../signature/statement.ts'
import { eachAtOnce } from './each-at-once.ts'
import {
  annotationsIn,
  describeFiles,
  describePublished,
  type PublishedBundle,
  type PublishedForm,
  publishedKeys,
  type WrittenManifest,
} from './published-bundle.ts'
import type { RegistryPlace } from './registry-place.ts'

export interface PushedBundle {
  /** where it can be pulled from */
  reference: string
  /** of index.json */
  digest: Digest
  /** of the manifest in the registry */
  manifest: Digest
  /** content of the bundle that the registry lacked */
  uploaded: { blobs: number; bytes: number }
  /** content that it had */
  present: { blobs: number; bytes: number }
  /** suffixes of the files next to the bundle */
  files: string[]
}

interface PushOptions {
  /** name of the bundle's file */
  file: string
  /** path of the bundle: the files next to it are pushed, too */
  path: string
  /** move the tag from another bundle */
  replace: boolean
  dryRun: boolean
  jobs: number
  progress: Progress
  signal: AbortSignal
}

/**
 * Puts a whole bundle into a registry, under one name: every blob once, unless the registry has it, then the parts, the index, the files next
 * to the bundle, and last the tag: a client that can pull the tag can pull everything. Each blob is verified while it is sent. Throws
 * SIGNATURE_INVALID for files of another bundle, NAME_COLLISION where the tag is that of another one, BUNDLE_CORRUPT.
 */
export async function pushBundle(
  bundle: BundleStore,
  place: RegistryPlace,
  options: PushOptions,
): Promise<PushedBundle> {
  const files = await readBundleFiles(options.path, signedContent(bundle))
  const work: PushWork = {
    bundle,
    place,
    options,
    upload: registryUpload(place.endpoint, place.context),
    files,
  }
  await refuseOtherTag(work)
  const content = await contentOf(bundle)
  const front = content.front.map(({ descriptor }) => descriptor)
  const all = [...front, ...content.blobs]
  const missing = await missingBlobs(content, work)
  if (!options.dryRun) await uploadBlobs(missing, content, work)
  const describe = (form: PublishedForm) =>
    describePublished(
      {
        front,
        blobs: content.blobs,
        info: { file: options.file, version: bundle.info.version, indexDigest: bundle.indexDigest },
      },
      form,
    )
  const published = options.dryRun ? describe('artifact') : await putManifests(describe, work)
  const bytes = (some: readonly Descriptor[]) => some.reduce((sum, { size }) => sum + size, 0)
  return {
    reference: place.name,
    digest: bundle.indexDigest,
    manifest: published.root.descriptor.digest,
    uploaded: { blobs: missing.length, bytes: bytes(missing) },
    present: { blobs: all.length - missing.length, bytes: bytes(all) - bytes(missing) },
    files: files.map(({ suffix }) => suffix),
  }
}

interface PushWork {
  bundle: BundleStore
  place: RegistryPlace
  options: PushOptions
  upload: RegistryUpload
  files: BundleFile[]
}

/** Content with its bytes, if they are not those of a blob in the bundle. */
interface Content {
  front: (WrittenManifest & { descriptor: Descriptor })[]
  blobs: Descriptor[]
}

/** Returns index.json, the front table, and each content once; empty content follows from its digest, and some registries refuse it. */
async function contentOf(bundle: BundleStore): Promise<Content> {
  const front = (await bundle.frontFiles()).map(({ path, bytes }) => ({
    descriptor: {
      mediaType: mediaTypes.octets,
      digest: digestOf(bytes),
      size: bytes.length,
      annotations: { [annotationKeys.title]: path },
    },
    bytes,
  }))
  return { front, blobs: bundle.blobs().filter(({ size }) => size > 0) }
}

/** A tag is what people name; moving it silently would give a site another bundle under a name that it was told. */
async function refuseOtherTag({ place, bundle, options }: PushWork): Promise<void> {
  const { reference, endpoint, context, name } = place
  if (reference.digest !== undefined)
    throw new AirgapError('REFERENCE_INVALID', 'a bundle is pushed under a version, not under a digest', {
      item: name,
      next: 'write the name as host[:port]/name:version',
    })
  if (options.replace) return
  const found = await findManifest(endpoint, reference, context)
  if (found === undefined) return
  const index = annotationsIn(found.bytes)[publishedKeys.index]
  if (index === bundle.indexDigest) return
  throw new AirgapError('NAME_COLLISION', 'the registry has something else under this name', {
    item: name,
    likely: index === undefined ? 'it is an image or another artifact' : `it is the bundle ${index}`,
    next: 'push under another version; or pass --replace to move the name to this bundle',
  })
}

async function missingBlobs(content: Content, { upload, options }: PushWork): Promise<Descriptor[]> {
  const all = [...content.front.map(({ descriptor }) => descriptor), ...content.blobs]
  const { progress } = options
  progress.phase('Comparing with the registry')
  const missing = await eachAtOnce(all, options, async descriptor => {
    return (await upload.has(descriptor, 'blob')) ? [] : [descriptor]
  })
  return missing.flat()
}

/** Uploads the largest first: the last transfers are short. */
async function uploadBlobs(missing: readonly Descriptor[], content: Content, work: PushWork): Promise<void> {
  const { bundle, upload, options } = work
  const { progress } = options
  const inMemory = new Map(content.front.map(({ descriptor, bytes }) => [descriptor.digest, bytes]))
  progress.phase('Uploading')
  progress.total(
    missing.length,
    missing.reduce((sum, { size }) => sum + size, 0),
  )
  const bySize = [...missing].sort((a, b) => b.size - a.size)
  await eachAtOnce(bySize, options, async (descriptor, signal) => {
    const ended = progress.running(descriptor.digest)
    const bytes = inMemory.get(descriptor.digest)
    const open = async (range: ByteRange) =>
      bytes === undefined ? await bundle.open(descriptor, range) : partOf(bytes, range)
    try {
      await upload.blob(descriptor, { open, signal, progress })
      progress.done(descriptor.digest, descriptor.size)
    } catch (error) {
      throw damaged(error, options.path)
    } finally {
      ended()
    }
  })
}

function partOf(bytes: Uint8Array, { start, end }: ByteRange): Readable {
  return Readable.from([bytes.subarray(start, end)], { objectMode: false })
}

/** Puts the parts, the index and the files next to the bundle, then the tag; in the form of an image where the registry refuses artifacts. */
async function putManifests(
  describe: (form: PublishedForm) => PublishedBundle,
  work: PushWork,
): Promise<PublishedBundle> {
  try {
    return await putAll('artifact')
  } catch (error) {
    // 400, 404, 405, 415: registries do not agree on the status
    if (!isErrorCode(error, 'UNSUPPORTED', 'METHOD_NOT_ALLOWED')) throw error
    work.options.progress.note(
      `${work.place.endpoint.host} refuses artifacts (${error.likely ?? error.message}): pushing the bundle in the form of an image`,
    )
    return await putAll('image')
  }

  async function putAll(form: PublishedForm): Promise<PublishedBundle> {
    const { upload, place } = work
    const published = describe(form)
    await putBlob(published.config, work)
    for (const part of published.parts) await putByDigest(part, work)
    await putByDigest(published.root, work)
    await putFiles(published.root.descriptor, form, work)
    await upload.manifest(place.reference.tag!, {
      mediaType: published.root.descriptor.mediaType,
      bytes: published.root.bytes,
    })
    return published
  }
}

async function putByDigest(
  { descriptor, bytes }: WrittenManifest,
  { upload }: PushWork,
): Promise<string | undefined> {
  const { digest, mediaType } = descriptor
  const { subject } = await upload.manifest(digest, { mediaType, bytes })
  return subject
}

async function putBlob({ descriptor, bytes }: WrittenManifest, { upload, options }: PushWork): Promise<void> {
  if (await upload.has(descriptor, 'blob')) return
  const open = async (range: ByteRange) => partOf(bytes, range)
  await upload.blob(descriptor, { open, signal: options.signal, progress: silentProgress })
}

async function putFiles(subject: Descriptor, form: PublishedForm, work: PushWork): Promise<void> {
  const { files, place, upload } = work
  const statement = files.find(({ suffix }) => suffix === bundleSuffixes.statement)
  if (statement === undefined) return
  for (const { bytes } of files)
    await putBlob(
      { descriptor: { mediaType: mediaTypes.octets, digest: digestOf(bytes), size: bytes.length }, bytes },
      work,
    )
  const { built } = parseStatement(statement.bytes, bundleSuffixes.statement)
  const manifest = describeFiles({ files, subject, built }, form)
  const listedUnder = await putByDigest(manifest, work)
  if (listedUnder === subject.digest) return
  const { annotations } = JSON.parse(Buffer.from(manifest.bytes).toString('utf8')) as Pick<
    Descriptor,
    'annotations'
  >
  const referrer = { ...manifest.descriptor, ...defined({ annotations }) }
  const { endpoint, context } = place
  await addToReferrersTag(endpoint, referrer, { subject: subject.digest, context, upload })
}

function damaged(error: unknown, path: string): unknown {
  if (!isErrorCode(error, 'DIGEST_MISMATCH', 'SIZE_MISMATCH')) return error
  return new AirgapError('BUNDLE_CORRUPT', 'the bundle is damaged', {
    item: path,
    likely: `the medium, or the copy, is damaged: ${error.message}`,
    next: 'run `airgap verify` on the original, copy it again, and push again',
    cause: error,
  })
}
