import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { type GraphFindings, walkGraph } from '../bundle/graph.ts'
import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import { type ParsedManifest, parseManifest, successors } from '../content/successors.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { isIndexType, isManifestType } from '../core/media-types.ts'
import { formatPlatform, isCompletePlatform, isUnknownPlatform } from '../core/platform.ts'
import { type Oras, orasCopy, orasPushBlob, orasPushManifest, orasResolve } from '../remote/oras.ts'
import { isImmutableTag } from '../remote/oras-failure.ts'
import type { PushTarget } from '../site/push-names.ts'

/** An artifact of the bundle, and which part of it is carried. */
export interface Carried {
  target: PushTarget
  /** all descriptors that its root leads to and that are in the bundle */
  contents: Descriptor[]
  /** bytes of `contents` */
  size: number
  /** the platforms that are carried, for an index with others that are not */
  platforms?: string[]
}

export interface Pushed {
  from: string
  to: string
  /** of what the registry has under that name */
  digest: Digest
  /** the publisher's digest, if the registry refused the publisher's index */
  published?: Digest
  platforms?: string[]
}

/** Walks the graph of an artifact. Throws BUNDLE_CORRUPT if something is missing. */
export async function describeCarried(store: ReadableStore, target: PushTarget): Promise<Carried> {
  const { reached, notCarried, faults }: GraphFindings = await walkGraph(store, [target.root])
  const [fault] = faults
  if (fault) {
    throw new AirgapError('BUNDLE_CORRUPT', `${target.name}: ${fault.what}`, {
      item: fault.item,
      likely: 'the medium or the copy is damaged',
      next: 'run `airgap verify` on the bundle, and copy it again',
    })
  }
  const contents = [...reached.values()]
  const size = contents.reduce((sum, descriptor) => sum + descriptor.size, 0)
  if (notCarried === 0 || !isIndexType(target.root.mediaType)) return { target, contents, size }
  const platforms = (await carriedChildren(store, target.root))
    .filter(({ platform }) => platform === undefined || !isUnknownPlatform(platform))
    .map(({ platform, digest }) => (isCompletePlatform(platform) ? formatPlatform(platform) : digest))
  return { target, contents, size, platforms }
}

/**
 * Copies one artifact. `oras cp` copies a complete one straight out of the tar. It cannot copy an index with missing platforms:
 * its content is pushed blob by blob, then the index with its own bytes, so that it keeps the publisher's digest. Many
 * registries refuse such an index; then the carried platforms are pushed under the tag alone, with another digest.
 */
export async function pushArtifact(
  oras: Oras,
  work: { path: string; store: ReadableStore; carried: Carried },
): Promise<Pushed> {
  const { path, store, carried } = work
  const { root, name, to } = carried.target
  try {
    if (carried.platforms !== undefined) return await pushPartial(oras, { store, carried })
    await orasCopy(oras, { from: `${path}@${root.digest}`, to })
    return { from: name, to, digest: root.digest }
  } catch (error) {
    // registries refuse an immutable tag also where it has this very content: Harbor, at the second run
    if (isImmutableTag(error) && (await digestAt(oras, to)) === root.digest)
      return defined({ from: name, to, digest: root.digest, platforms: carried.platforms })
    // a damaged bundle makes oras and the registry report something else: find out whether that is the cause
    if (isErrorCode(error, 'UPSTREAM', 'UNSUPPORTED')) await readThrough(store, { path, carried })
    throw damaged(error, path)
  }
}

/** Returns undefined where the registry does not answer with a digest: the first error is the one to report. */
async function digestAt(oras: Oras, reference: string): Promise<string | undefined> {
  try {
    return await orasResolve(oras, reference)
  } catch (error) {
    oras.signal.throwIfAborted()
    if (error instanceof AirgapError) return undefined
    throw error
  }
}

async function pushPartial(
  oras: Oras,
  { store, carried }: { store: ReadableStore; carried: Carried },
): Promise<Pushed> {
  const { root, name, to, repository } = carried.target
  const row = defined({ from: name, to, platforms: carried.platforms })
  for (const child of await carriedChildren(store, root))
    await pushManifest(oras, { store, repository, node: child })
  try {
    await orasPushManifest(oras, { to, mediaType: root.mediaType, body: await store.open(root) })
    return { ...row, digest: root.digest }
  } catch (error) {
    if (!isErrorCode(error, 'UNSUPPORTED')) throw error
    if (to.includes('@')) throw needsAll(to, error)
    const { mediaType, bytes } = await narrow(store, root)
    await orasPushManifest(oras, { to, mediaType, body: Readable.from([bytes]) })
    return { ...row, digest: digestOf(bytes), published: root.digest }
  }
}

/** Pushes a manifest by its digest, after those of its children that the bundle has. */
async function pushManifest(
  oras: Oras,
  at: { store: ReadableStore; repository: string; node: Descriptor },
): Promise<void> {
  const { store, repository, node } = at
  const to = `${repository}@${node.digest}`
  for (const child of successors(await manifestOf(store, node))) {
    if (!(await store.exists(child))) continue
    if (isIndexType(child.mediaType) || isManifestType(child.mediaType))
      await pushManifest(oras, { store, repository, node: child })
    else {
      const body = await store.open(child)
      await orasPushBlob(oras, { to: `${repository}@${child.digest}`, size: child.size, body })
    }
  }
  await orasPushManifest(oras, { to, mediaType: node.mediaType, body: await store.open(node) })
}

/** Returns the only child that is carried, or an index of the carried ones. */
async function narrow(
  store: ReadableStore,
  root: Descriptor,
): Promise<{ mediaType: string; bytes: Uint8Array }> {
  const children = await carriedChildren(store, root)
  const [only, ...others] = children
  if (only !== undefined && others.length === 0)
    return { mediaType: only.mediaType, bytes: await readAll(store, only) }
  const kept = new Set<unknown>(children.map(child => child.digest))
  const index: { manifests: ({ digest?: unknown } | null)[] } = JSON.parse(
    (await readAll(store, root)).toString('utf8'),
  )
  const manifests = index.manifests.filter(child => kept.has(child?.digest))
  return { mediaType: root.mediaType, bytes: Buffer.from(canonicalJson({ ...index, manifests })) }
}

async function carriedChildren(store: ReadableStore, root: Descriptor): Promise<Descriptor[]> {
  const children = successors(await manifestOf(store, root))
  const here = await Promise.all(children.map(child => store.exists(child)))
  return children.filter((_, i) => here[i])
}

async function manifestOf(store: ReadableStore, node: Descriptor): Promise<ParsedManifest> {
  const { mediaType, digest } = node
  return parseManifest(await readAll(store, node), { mediaType, item: digest, code: 'BUNDLE_CORRUPT' })
}

/** Throws BUNDLE_CORRUPT if the content is damaged. */
async function readThrough(store: ReadableStore, of: { path: string; carried: Carried }): Promise<void> {
  try {
    for (const descriptor of of.carried.contents) await finished((await store.open(descriptor)).resume())
  } catch (error) {
    throw damaged(error, of.path)
  }
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

function needsAll(to: string, cause: AirgapError): AirgapError {
  return new AirgapError('UNSUPPORTED', 'the registry refuses an index with missing platforms', {
    item: to,
    likely: `the image has no tag, so it can only be pushed by the publisher's digest; the registry reported: ${cause.likely}`,
    next: 'in the manifest, name the image by tag and digest, or list all of its `platforms`; then lock and build again',
    cause,
  })
}
