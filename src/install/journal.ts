import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppendedFile } from '../core/appended-file.ts'
import { syncFolder } from '../core/atomic-file.ts'
import { type Digest, isDigest } from '../core/digest.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'

/**
 * The record of what was done on a site: JSON lines in the state folder, appended and synced. The first line has the identity of
 * the site. A last line that was truncated by a crash or a full disk is dropped; any other invalid line is refused, as continuing
 * from a wrong journal would leave out steps.
 */

const journalVersion = 1
/** At about ten lines per run, more than anybody needs. */
const maxSize = 16 << 20 /* bytes */

export const stepEvents = ['started', 'done', 'failed', 'undone'] as const
export type StepEvent = (typeof stepEvents)[number]

export interface JournalEntry {
  step: string
  key: Digest
  event: StepEvent
  /** ISO 8601, by the clock of this host: for people only, nothing is decided by it */
  at: string
}

export interface Journal extends AsyncDisposable {
  /** Returns the newest entry of a step. */
  last(step: string): JournalEntry | undefined
  entries(): readonly JournalEntry[]
  /** Appends an entry, which is on disk when the promise resolves. */
  record(entry: JournalEntry): Promise<void>
  close(): Promise<void>
}

export interface JournalOptions {
  /** identity of this site and host */
  site: string
}

/** Opens the journal for writing; creates it if there is none. Throws JOURNAL_INVALID. */
export async function openJournal(path: string, options: JournalOptions): Promise<Journal> {
  let handle: FileHandle
  try {
    handle = await open(path, 'a+', 0o600)
  } catch (error) {
    throw fromSystemError(error, path)
  }
  try {
    const bytes = await readWhole(handle, path)
    const { entries, goodSize } = parseJournal(bytes, { path, site: options.site })
    // the next entry must not be appended to a truncated line
    if (goodSize < bytes.length) await handle.truncate(goodSize)
    const file = new AppendedFile(handle, goodSize)
    if (goodSize === 0) {
      await append(file, { journal: journalVersion, site: options.site })
      await syncFolder(dirname(path))
    }
    return new FileJournal(handle, { file, path, entries })
  } catch (error) {
    await handle.close()
    throw fromSystemError(error, path)
  }
}

/** Returns the entries without creating or repairing anything; none if there is no journal. */
export async function readJournal(path: string, options: JournalOptions): Promise<JournalEntry[]> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw fromSystemError(error, path)
  }
  try {
    return parseJournal(await readWhole(handle, path), { path, site: options.site }).entries
  } finally {
    await handle.close()
  }
}

export function lastEntry(entries: readonly JournalEntry[], step: string): JournalEntry | undefined {
  return entries.findLast(entry => entry.step === step)
}

class FileJournal implements Journal {
  readonly #handle: FileHandle
  readonly #file: AppendedFile
  readonly #path: string
  readonly #entries: JournalEntry[]

  constructor(
    handle: FileHandle,
    { file, path, entries }: { file: AppendedFile; path: string; entries: JournalEntry[] },
  ) {
    this.#handle = handle
    this.#file = file
    this.#path = path
    this.#entries = entries
  }

  last(step: string): JournalEntry | undefined {
    return lastEntry(this.#entries, step)
  }

  entries(): readonly JournalEntry[] {
    return this.#entries
  }

  async record(entry: JournalEntry): Promise<void> {
    try {
      await append(this.#file, { ...entry })
    } catch (error) {
      throw fromSystemError(error, this.#path)
    }
    this.#entries.push(entry)
  }

  close(): Promise<void> {
    return this.#handle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

async function append(file: AppendedFile, value: Record<string, unknown>): Promise<void> {
  await file.append(`${JSON.stringify(value)}\n`, { sync: true })
}

async function readWhole(handle: FileHandle, path: string): Promise<Buffer> {
  const { size } = await handle.stat()
  if (size > maxSize) throw invalid(path, `the journal is larger than ${maxSize >> 20} MiB`)
  const bytes = Buffer.alloc(size)
  let read = 0
  while (read < size) {
    const { bytesRead } = await handle.read(bytes, read, size - read, read)
    if (bytesRead === 0) break
    read += bytesRead
  }
  return bytes.subarray(0, read)
}

function parseJournal(
  bytes: Buffer,
  { path, site }: { path: string; site: string },
): { entries: JournalEntry[]; goodSize: number } {
  const goodSize = bytes.lastIndexOf('\n') + 1
  const [head, ...lines] = bytes.toString('utf8', 0, goodSize).split('\n').slice(0, -1)
  if (head === undefined) return { entries: [], goodSize: 0 }
  checkHead(parseLine(head, `${path}:1`), { path, site })
  const entries = lines.map((line, i) => toEntry(parseLine(line, `${path}:${i + 2}`), `${path}:${i + 2}`))
  return { entries, goodSize }
}

function checkHead(head: Record<string, unknown>, { path, site }: { path: string; site: string }): void {
  const { journal } = head
  if (typeof journal !== 'number') throw invalid(path, 'the file is not a journal of offline-deploy')
  if (journal > journalVersion) {
    throw new AirgapError(
      'JOURNAL_INVALID',
      `the journal has version ${journal}, but this program supports at most ${journalVersion}`,
      {
        item: path,
        likely: 'a newer offline-deploy worked on this site',
        next: 'use the offline-deploy of the newer bundle',
      },
    )
  }
  if (head['site'] !== site) {
    throw new AirgapError('JOURNAL_INVALID', 'the journal belongs to another site or host', {
      item: path,
      likely: 'the state folder was copied from another host, where other steps are done',
      next: 'choose another folder with --site, or delete the journal: every step then runs again, which is safe',
    })
  }
}

function parseLine(line: string, item: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line)
    if (value !== null && typeof value === 'object' && !Array.isArray(value))
      return value as Record<string, unknown>
  } catch {
    // reported below
  }
  throw invalid(item, 'a line of the journal is not JSON')
}

function toEntry(value: Record<string, unknown>, item: string): JournalEntry {
  const { step, key, event, at } = value
  const known = stepEvents.find(name => name === event)
  if (typeof step !== 'string' || typeof key !== 'string' || !isDigest(key) || known === undefined)
    throw invalid(item, 'a line of the journal is not an entry')
  return { step, key, event: known, at: typeof at === 'string' ? at : '' }
}

function invalid(item: string, what: string): AirgapError {
  return new AirgapError('JOURNAL_INVALID', what, {
    item,
    likely: 'a damaged disk, or the file was edited',
    next: 'delete the journal: every step then runs again, which is safe',
  })
}
