import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import pLimit from 'p-limit'
import { BufferPool } from '../bundle/buffer-pool.ts'
import type { BundleWriter, Slot } from '../bundle/writer.ts'
import type { Source } from '../content/artifact.ts'
import type { ReadableStore } from '../content/store.ts'
import { defined } from '../core/defined.ts'
import { AirgapError, fromSystemError, isErrorCode } from '../core/errors.ts'
import { together } from '../core/failures.ts'
import type { Progress } from '../core/progress.ts'
import { redactUrl } from '../core/redact.ts'
import type { BlobOpener, HttpClient, RegistryClient } from '../remote/contract.ts'
import { download } from '../remote/download.ts'
import { MirrorLists } from '../remote/mirror-list.ts'
import { contentCreator, createdOtherwise } from './create-content.ts'
import { localPath, type NearContent, nearCopies } from './near-copies.ts'

export interface FetchOptions extends NearContent {
  http: HttpClient
  registry: RegistryClient
  concurrency: number
  /** fetch everything that is available and exit 9, instead of stopping at the first failure */
  keepGoing: boolean
  progress: Progress
  signal: AbortSignal
}

/** Options for filling a slot, and what all slots share. */
interface FillOptions extends FetchOptions {
  /** for local files */
  buffers: BufferPool
  creator: ReturnType<typeof contentCreator>
  mirrorLists: MirrorLists
}

/**
 * Fills every slot of the bundle that is still empty: threads copy what is on this host while the rest is fetched, largest first. Throws
 * INCOMPLETE with `keepGoing` if some are missing; a wrong digest stops everything.
 */
export async function fetchSlots(writer: BundleWriter, options: FetchOptions): Promise<void> {
  const limit = pLimit(options.concurrency)
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, options.signal])
  const failures = new Map<Slot, unknown>()
  const buffers = new BufferPool(1 << 20)
  const creator = contentCreator({ ...options, now: () => new Date() })
  const mirrorLists = new MirrorLists(options.http)
  const slots = writer.pending()
  const done = (slot: Slot) => options.progress.done(label(slot), slot.descriptor.size)
  const failed = (slot: Slot, error: unknown) => {
    const wrong = error instanceof AirgapError && error.exitCode === 6
    // an aborted transfer is not a failure of its own
    if (signal.aborted && !wrong) return
    failures.set(slot, withSource(error, slot))
    if (!options.keepGoing || wrong || !(error instanceof AirgapError)) stop.abort()
  }
  const fetch = async (slot: Slot) => {
    if (signal.aborted) return
    const ended = options.progress.running(label(slot))
    try {
      await fill(slot, { ...options, signal, buffers, creator, mirrorLists })
      done(slot)
    } catch (error) {
      failed(slot, error)
    } finally {
      ended()
    }
  }
  const fetching: Promise<void>[] = []
  const fetchAll = (some: readonly Slot[]) => {
    for (const slot of some) fetching.push(limit(fetch, slot))
  }
  const copies = await nearCopies(slots, options)
  const near = new Set(copies.map(({ slot }) => slot))
  fetchAll(slots.filter(slot => !near.has(slot)))
  try {
    const inThreads = await writer.copy(copies, {
      signal,
      // what could not be copied is reported by the slow way, or found elsewhere
      copied: slot => (slot.complete ? done(slot) : fetchAll([slot])),
    })
    if (!inThreads) fetchAll(copies.map(({ slot }) => slot))
  } catch (error) {
    failed(copies[0]!.slot, error)
  }
  await Promise.all(fetching)
  options.signal.throwIfAborted()
  if (failures.size === 0) return
  const inOrder = slots.filter(slot => failures.has(slot)).map(slot => failures.get(slot))
  const error = together(inOrder, slots.length)
  if (!options.keepGoing || !(error instanceof AirgapError) || error.exitCode === 6) throw error
  throw new AirgapError(
    'INCOMPLETE',
    `${failures.size} of ${slots.length} blobs could not be fetched: ${error.message}`,
    {
      ...defined({ item: error.item }),
      next: 'run the same command again: it continues with what is missing',
      cause: error,
    },
  )
}

async function fill(slot: Slot, options: FillOptions): Promise<void> {
  for (const bundle of options.reuse) {
    if (!(await bundle.store.exists(slot.descriptor))) continue
    if (await copyFromStore(slot, bundle.store, options)) return
    if (bundle.replaced === undefined) throw damagedBundle(bundle.path, slot)
    options.progress.note(
      `${label(slot)}: the copy in ${bundle.path} is damaged; fetching it from its source`,
    )
  }
  if (await options.cache.exists(slot.descriptor)) {
    if (await copyFromStore(slot, options.cache, options)) return
    // the cache only saves transfers: a damaged copy in it is not an error
    options.progress.note(`${label(slot)}: the copy in the cache is damaged; fetching it from its source`)
  }
  const resumed = slot.received > 0
  try {
    await fillFromSources(slot, options)
  } catch (error) {
    // the first part is from an earlier run: only a complete transfer proves that the source has wrong content
    if (!resumed || !isErrorCode(error, 'DIGEST_MISMATCH')) throw error
    options.progress.note(`${label(slot)}: the part from an earlier run does not match; starting over`)
    await fillFromSources(slot, options)
  }
}

/** Returns false, with an empty slot, if the store has other bytes under this digest. */
async function copyFromStore(slot: Slot, store: ReadableStore, options: FetchOptions): Promise<boolean> {
  for (const start of slot.received > 0 ? [slot.received, 0] : [0]) {
    try {
      if (start === 0 && slot.received > 0) await slot.restart()
      await copy(
        await store.open(slot.descriptor, { start, end: slot.descriptor.size }),
        slot,
        options.signal,
      )
      return true
    } catch (error) {
      if (!(error instanceof AirgapError) || error.exitCode !== 6) throw error
    }
  }
  await slot.restart()
  return false
}

/** A damaged bundle passed with --reuse stops everything: a site may have a copy of it. */
function damagedBundle(path: string, slot: Slot): AirgapError {
  return new AirgapError('BUNDLE_CORRUPT', 'the earlier bundle is damaged', {
    item: `${path}: ${slot.descriptor.digest}`,
    likely: 'it was damaged while it was copied, or changed by another program',
    next: `run \`airgap verify ${path}\` and copy it again, or build without --reuse`,
  })
}

async function fillFromSources(slot: Slot, options: FillOptions): Promise<void> {
  const openers: BlobOpener[] = []
  for (const source of slot.sources) {
    if (source.type === 'path' || source.type === 'tool') {
      await copyLocal(slot, source, options)
      return
    }
    if (source.type === 'created') {
      await options.creator.create(source, options.signal)
      const known = await options.cache.exists(slot.descriptor)
      if (known && (await copyFromStore(slot, options.cache, options))) return
      throw createdOtherwise(source)
    }
    openers.push(...(await remoteOpeners(slot, source, options)))
  }
  try {
    await download({ openers, sink: slot, signal: options.signal, progress: options.progress })
  } catch (error) {
    throw isErrorCode(error, 'NOT_FOUND_UPSTREAM') ? removedUpstream(error, slot) : error
  }
}

/** The locked content existed once: the advice differs from that for a URL that never existed. */
function removedUpstream(error: AirgapError, slot: Slot): AirgapError {
  const source = slot.sources.find(({ type }) => type === 'url' || type === 'mirrors')
  if (source?.type !== 'url' && source?.type !== 'mirrors') return error
  const archived =
    source.type === 'mirrors' || source.archivedAt === undefined
      ? ''
      : `; or download this version from ${source.archivedAt}, put it on your own mirror and use --remap`
  return new AirgapError('NOT_FOUND_UPSTREAM', 'the locked content is no longer available', {
    item: sourceText(source),
    likely: 'the publisher replaced it with a newer version, or the mirror does not have it',
    next: `run \`airgap lock\` again and review the difference${archived}`,
    cause: error,
  })
}

async function remoteOpeners(
  slot: Slot,
  source: Source & { type: 'registry' | 'url' | 'mirrors' },
  options: FillOptions,
): Promise<BlobOpener[]> {
  if (source.type === 'mirrors') {
    const { bases } = await options.mirrorLists.of({ url: source.list, variables: source.variables })
    return bases.flatMap(base => options.http.openers(`${base}/${source.path}`, { namedBy: source.list }))
  }
  return source.type === 'url'
    ? options.http.openers(source.url)
    : options.registry.openers(source.name, slot.descriptor.digest, source.as)
}

/** Throws LOCK_OUT_OF_DATE if the file is not the locked one: that is a change, not damage. */
async function copyLocal(
  slot: Slot,
  source: Source & { type: 'path' | 'tool' },
  options: FillOptions,
): Promise<void> {
  const path = localPath(source, options)
  if (path === undefined) throw unknownTool(source.type === 'tool' ? source.name : source.path)
  try {
    if (await copyFile(path, slot, options)) return
  } catch (error) {
    const reported = fromSystemError(error, path)
    const gone = source.type === 'path' && isErrorCode(reported, 'FILE_NOT_FOUND')
    if (!gone && !isErrorCode(reported, 'DIGEST_MISMATCH', 'SIZE_MISMATCH')) throw reported
  }
  throw new AirgapError('LOCK_OUT_OF_DATE', 'a file has changed since it was locked', {
    item: path,
    likely:
      source.type === 'tool'
        ? 'the lock was made by another version of airgap'
        : 'the file was edited, moved or removed',
    next: 'run `airgap lock` again and review the difference',
  })
}

/** Returns false if the path is not a file of the locked size. Buffers are shared, because a tree may have very many small files. */
async function copyFile(path: string, slot: Slot, { buffers, signal }: FillOptions): Promise<boolean> {
  const { size } = slot.descriptor
  const found = await stat(path)
  if (!found.isFile() || found.size !== size) return false
  // if a named pipe replaces the file at this moment, opening it must not block the build
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const buffer = buffers.take()
  try {
    // reading the whole local file is cheap, and safer than trusting the part from an earlier run
    if (slot.received > 0) await slot.restart()
    while (slot.received < size) {
      signal.throwIfAborted()
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - slot.received), null)
      if (bytesRead === 0) break
      await slot.write(buffer.subarray(0, bytesRead))
    }
    await slot.finish()
    return true
  } finally {
    buffers.give(buffer)
    await file.close()
  }
}

function unknownTool(name: string): AirgapError {
  return new AirgapError(
    'LOCK_OUT_OF_DATE',
    'the lock names a file that this version of airgap does not have',
    { item: name, next: 'run `airgap lock` again and review the difference' },
  )
}

async function copy(body: Readable, slot: Slot, signal: AbortSignal): Promise<void> {
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    signal.throwIfAborted()
    await slot.write(chunk)
  }
  await slot.finish()
}

/** Adds the source of the blob to an error that names only its digest, which nobody recognizes. */
function withSource(error: unknown, slot: Slot): unknown {
  if (!(error instanceof AirgapError) || error.item !== slot.descriptor.digest) return error
  const { code, message, likely, next } = error
  const source = slot.sources[0] ? sourceText(slot.sources[0]) : 'the lock itself'
  return new AirgapError(code, message, {
    item: `${slot.descriptor.digest} of ${source}`,
    ...defined({ likely, next }),
    cause: error,
  })
}

/** Returns the name of a blob for progress. */
function label(slot: Slot): string {
  const [source] = slot.sources
  const short = slot.descriptor.digest.slice(7, 19)
  if (source === undefined) return short
  return source.type === 'registry' ? `${source.name} ${short}` : sourceText(source)
}

function sourceText(source: Source): string {
  if (source.type === 'url') return redactUrl(source.url)
  if (source.type === 'mirrors') return `${source.path} from ${redactUrl(source.list)}`
  return source.type === 'path' ? source.path : source.name
}
