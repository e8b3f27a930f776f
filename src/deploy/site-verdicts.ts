import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type HashPool, hashPool } from '../content/hash-pool.ts'
import type { ReadableStore } from '../content/store.ts'
import { attachmentOf } from '../core/attachment.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { fileOfState, isSettled, stateText } from '../core/file-state.ts'
import { type CheckedContent, checkInBackground } from '../serve/background-check.ts'
import { hashThreads, type LocalVerdicts, localVerdicts } from '../serve/local-verdicts.ts'
import {
  type Finding,
  isRight,
  isSameSubject,
  openVerdictFile,
  readVerdictFile,
  type VerdictFile,
  type VerdictSubject,
  writeAllRight,
} from '../serve/verdict-file.ts'
import { writtenTo } from '../serve/verdicts.ts'
import type { SiteState } from '../site/state.ts'
import type { OpenBundle } from './open-bundles.ts'
import type { ServedContent, SiteVerdicts } from './serving-options.ts'

/** Verdicts about the content of open bundles; kept in the state folder, so that the next start knows them. */
export interface KeptVerdicts extends SiteVerdicts {
  /**
   * Takes up a bundle, and starts to check it in the background. Where it was taken up before and its file was replaced, the file of verdicts is
   * about the new one from now on. Resolves with what ends that.
   */
  add(bundle: VerifiedFile): Promise<() => Promise<void>>
  /** Takes over what `verify` has found since, in the files of verdicts. */
  refresh(): Promise<void>
  /** Takes over that pushed content is right: it was hashed as it was written, and nobody writes to it again. */
  notePushed(content: Descriptor): Promise<void>
  /** Ends the threads and what is read in the background, and writes down what is known. */
  close(): Promise<void>
}

type VerifiedFile = Pick<OpenBundle, 'path' | 'store' | 'identity'>

/** Starts the threads. Verdicts that cannot be kept (a full disk) are found again after the next start. */
export function openSiteVerdicts({
  paths,
  now,
  overlay,
}: {
  paths: SiteState['paths']
  now: () => Date
  overlay?: ReadableStore
}): KeptVerdicts {
  const pool = hashPool({ size: hashThreads })
  const opened = new Map<OpenVerdicts, { end(): Promise<void> }>()
  const listeners = new Set<Parameters<SiteVerdicts['onDamage']>[0]>()
  const damaged = (content: Descriptor, state: string) => {
    for (const listener of listeners) listener(content, state)
  }

  async function add(bundle: VerifiedFile): Promise<() => Promise<void>> {
    for (const other of opened.keys())
      if (other.identity.digest === bundle.identity.digest) await other.forgetRecord()
    const verdicts = await openVerdicts(bundle, { paths, now, pool, damaged })
    const stop = new AbortController()
    const checked = checkInBackground([verdicts.content], { signal: stop.signal })
    const end = async () => {
      if (!opened.delete(verdicts)) return
      stop.abort(new Error('the bundle is no longer served'))
      await verdicts.verdicts.close()
      await checked
      await verdicts.forgetRecord()
    }
    opened.set(verdicts, { end })
    return end
  }

  // what was pushed is hashed as it comes, and once more after the next start, when it is requested
  const pushed =
    overlay &&
    localVerdicts(overlay, { pool, note: (content, { state, damage }) => damage && damaged(content, state) })

  /** Where a bundle was written over another one in the same file, the newer one counts. */
  function find(state: string): LocalVerdicts | undefined {
    const file = fileOfState(state)
    let found = pushed
    for (const one of opened.keys()) if (one.file === file) found = one.verdicts
    return found
  }

  return {
    add,
    known: (content, state) => find(state)?.known(content, state) ?? false,
    async verified(content, options) {
      const verdicts = find(options.state)
      if (verdicts === undefined) throw writtenTo(content)
      await verdicts.verified(content, options)
    },
    noteDamage: (content, found) => find(found.state)?.noteDamage(content, found),
    async refresh() {
      await Promise.all([...opened.keys()].map(one => one.refresh()))
    },
    async notePushed(content) {
      if (overlay?.state !== undefined) pushed?.takeOver(await overlay.state(content), [content.digest])
    },
    onDamage(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    async content() {
      // where a bundle was moved, its old file may still be read
      const newest = new Map(
        [...opened.keys()].map(one => [`${one.identity.name} ${one.identity.version}`, one]),
      )
      return await Promise.all([...newest.values()].map(servedContent))
    },
    async close() {
      await Promise.all([pushed?.close(), ...[...opened.values()].map(({ end }) => end())])
      await pool.close()
    },
  }
}

async function servedContent({
  identity: { name, version },
  content,
  verdicts,
}: OpenVerdicts): Promise<ServedContent> {
  const amounts: Pick<ServedContent, ReturnType<LocalVerdicts['finding']>> = {
    verified: { blobs: 0, bytes: 0 },
    damaged: { blobs: 0, bytes: 0 },
    unread: { blobs: 0, bytes: 0 },
  }
  // a bundle whose state cannot be read has nothing that is verified
  const state = await content.state().catch(() => '')
  for (const blob of content.blobs) {
    const amount = amounts[state === '' ? 'unread' : verdicts.finding(blob, state)]
    amount.blobs++
    amount.bytes += blob.size
  }
  return { name, version, ...amounts }
}

interface OpenVerdicts {
  identity: OpenBundle['identity']
  verdicts: LocalVerdicts
  content: CheckedContent
  /** device and inode */
  file: string
  /** Takes over what another program has written to the file of verdicts. */
  refresh(): Promise<void>
  /** Writes down what is known, and keeps no more. */
  forgetRecord(): Promise<void>
}

async function openVerdicts(
  bundle: VerifiedFile,
  {
    paths,
    now,
    pool,
    damaged,
  }: {
    paths: SiteState['paths']
    now: () => Date
    pool: HashPool
    damaged: (content: Descriptor, state: string) => void
  },
): Promise<OpenVerdicts> {
  const { store } = bundle
  const blobs = store.blobs()
  const subject = await subjectOf(bundle, await store.state())
  // undefined where the state folder cannot be written
  let record = await openRecord(paths, subject)
  const keep = (state: string, finding: Finding) => {
    if (record === undefined) return
    if (record.subject.state !== state) record.restart({ ...record.subject, state })
    record.add(finding)
  }
  const verdicts = localVerdicts(store, {
    pool,
    note(content, { state, damage }) {
      const type = damage === undefined ? 'right' : 'damaged'
      keep(state, { type, digest: content.digest, at: now().toISOString() })
      if (damage !== undefined) damaged(content, state)
    },
  })
  const { known } = record ?? {}
  if (known !== undefined) {
    const right = blobs.filter(({ digest }) => isRight(known, digest))
    verdicts.takeOver(
      subject.state,
      right.map(({ digest }) => digest),
    )
  }
  const content: CheckedContent = {
    verdicts,
    blobs,
    state: () => store.state(),
    completed: (type, state) => keep(state, { type, at: now().toISOString() }),
  }
  return {
    verdicts,
    content,
    identity: bundle.identity,
    file: fileOfState(subject.state),
    async refresh() {
      const found = await readVerdictFile(verdictPath(paths, bundle.identity.digest))
      if (record === undefined || found?.known.all !== true) return
      if (found.subject.attachment === null || !isSameSubject(found.subject, record.subject)) return
      const right = blobs.filter(({ digest }) => isRight(found.known, digest))
      verdicts.takeOver(
        found.subject.state,
        right.map(({ digest }) => digest),
      )
      // that file has replaced the one that is open here: it is written again, with both
      record.add({ type: 'all', at: now().toISOString() })
    },
    async forgetRecord() {
      const written = record
      record = undefined
      await written?.close()
    },
  }
}

async function openRecord(
  paths: SiteState['paths'],
  subject: VerdictSubject,
): Promise<VerdictFile | undefined> {
  try {
    await mkdir(paths.verdicts, { recursive: true, mode: 0o700 })
    return await openVerdictFile(verdictPath(paths, subject.bundle), subject)
  } catch {
    return undefined
  }
}

async function subjectOf({ path, store, identity }: VerifiedFile, state: string): Promise<VerdictSubject> {
  return {
    bundle: identity.digest,
    state,
    attachment: (await attachmentOf(path)) ?? null,
    blobs: store.blobs().length,
  }
}

function verdictPath(paths: SiteState['paths'], digest: string): string {
  return join(paths.verdicts, verdictName(digest))
}

/** Name of the file with what is known of a bundle. */
export function verdictName(digest: string): string {
  return digest.replace('sha256:', '').slice(0, 32)
}

/**
 * Records that the whole bundle was verified as it is open now, so that the servers don't read it again; `since`: when the verification
 * began. Does nothing where the state folder is missing or cannot be written.
 */
export async function keepVerified(
  bundle: VerifiedFile & Pick<OpenBundle, 'source'>,
  { paths, since, now }: { paths: SiteState['paths']; since: number /* ms since 1970 */; now: () => Date },
): Promise<void> {
  const state = stateText(bundle.source.opened)
  if (!isSettled(state, since)) return
  try {
    await mkdir(paths.verdicts, { mode: 0o700 }).catch(ignoreExisting)
    await writeAllRight(verdictPath(paths, bundle.identity.digest), {
      subject: await subjectOf(bundle, state),
      at: now().toISOString(),
    })
  } catch {
    // the servers read it again
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}

/** How much of a bundle's content is known to be right. */
export interface VerifiedContent {
  /** number of blobs that were verified in the present state of the file */
  verified: number
  blobs: number
  /** when all of it had been read again for the last time, ISO 8601; null: never yet */
  scrubbed: string | null
  damaged: { digest: string; at: string }[]
}

/** Returns what the servers have found out about a bundle; of one that cannot be read (no `store`), what they knew last. */
export async function verifiedContent(
  { digest, store }: { digest: string; store?: OpenBundle['store'] },
  { paths }: Pick<SiteState, 'paths'>,
): Promise<VerifiedContent | null> {
  const found = await readVerdictFile(verdictPath(paths, digest))
  if (found === undefined || found.subject.bundle !== digest) return null
  const { subject, known } = found
  const { blobs } = subject
  if (store !== undefined && (await store.state()) !== subject.state)
    return { verified: 0, blobs, scrubbed: null, damaged: [] }
  return {
    verified: known.all ? blobs - known.damaged.size : known.right.size,
    blobs,
    scrubbed: known.scrubbed ?? null,
    damaged: [...known.damaged].map(([one, at]) => ({ digest: one, at })),
  }
}
