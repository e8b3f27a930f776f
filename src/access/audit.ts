import { constants } from 'node:fs'
import { chown, type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { inGuardedFolder, readGuarded } from '../core/guarded-file.ts'
import { printableJson } from '../core/printable.ts'

/** What somebody did at a site. Texts from outside are shortened and escaped. */
export interface AuditEvent {
  /** `login`, `push`, `delete`, or a command: `users add`, `apply` */
  what: string
  result: 'ok' | 'refused' | 'failed'
  /** who: a user of the servers, or for a command the user of this machine */
  user: string
  /** IP address of the client; absent: a command on this machine */
  address?: string | undefined
  repository?: string | undefined
  /** tag or digest */
  reference?: string | undefined
  digest?: string | undefined
  /** what a command was about: the name of a user, a bundle, a machine */
  subject?: string | undefined
  /** status of the answer, or code of the error */
  status?: string | number | undefined
  /** this line counts for so many events of its kind */
  count?: number | undefined
}

/** A line of the log. */
export type AuditRecord = AuditEvent & {
  /** ISO 8601 */
  at: string
}

const text = z.string().max(1_000)
/** The servers may run as another user than the command that reads what they wrote. */
const recordSchema: z.ZodType<AuditRecord> = z.object({
  at: z.iso.datetime(),
  what: text,
  result: z.enum(['ok', 'refused', 'failed']),
  user: text,
  address: text.optional(),
  repository: text.optional(),
  reference: text.optional(),
  digest: text.optional(),
  subject: text.optional(),
  status: z.union([text, z.number()]).optional(),
  count: z.number().optional(),
})

export interface AuditLog {
  /** Writes an event soon; it does not wait, and an event that cannot be written is counted. */
  note(event: AuditEvent): void
  /** Resolves once everything is on disk. */
  close(): Promise<void>
}

/** of one file; about 40,000 events */
const maxSize = 10 << 20 /* bytes */
/** with the file that is written: the log never takes more than 100 MiB */
const maxFiles = 10
const maxText = 300 /* characters */
/** that are written at once: a file grows by no more than these above its limit */
const maxLines = 500
/** that wait for the disk; more are counted */
const maxWaiting = 10_000

/**
 * Opens the log at `path`, in a folder of its own. Each writer appends whole lines (O_APPEND) and syncs them, so that the servers and commands can write at the
 * same time. A full file gets another name with the time, and the oldest are removed. `failed` is called when writing begins to fail.
 */
export function openAuditLog(
  path: string,
  {
    now,
    failed = () => {},
    limit = maxSize,
  }: { now: () => Date; failed?: (error: unknown) => void; limit?: number },
): AuditLog {
  const waiting: string[] = []
  let lost = 0
  let isFailing = false
  let writing: Promise<void> | undefined

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const lines = waiting.splice(0, maxLines)
      try {
        await append(path, lines, { limit, now })
        isFailing = false
      } catch (error) {
        lost += lines.length
        if (!isFailing) failed(error)
        isFailing = true
      }
    }
    writing = undefined
  }

  return {
    note(event) {
      if (waiting.length >= maxWaiting) {
        lost++
        return
      }
      if (lost > 0 && !isFailing) {
        const count = lost
        lost = 0
        waiting.push(lineOf({ what: 'lost', result: 'failed', user: '', count }, now()))
      }
      waiting.push(lineOf(event, now()))
      writing ??= drain()
    },
    async close() {
      await writing
    },
  }
}

/** Appends one event of a command. Throws PERMISSION, NO_SPACE. */
export async function appendAudit(path: string, event: AuditEvent, now: () => Date): Promise<void> {
  await append(path, [lineOf(event, now())], { limit: maxSize, now })
}

/**
 * Returns the last events, the oldest first; `unreadable` lines were torn by a full disk or a power cut, or are no events. Follows no symbolic
 * links below the folder that the log's folder is in, which may belong to the servers' user.
 */
export async function readAudit(
  path: string,
  { last }: { last: number },
): Promise<{ events: AuditRecord[]; unreadable: number }> {
  const place = { root: dirname(dirname(path)), names: [basename(dirname(path))] }
  const found = await inGuardedFolder(place, folder => readLogs(join(folder, basename(path)), last))
  return found ?? { events: [], unreadable: 0 }
}

async function readLogs(path: string, last: number): Promise<{ events: AuditRecord[]; unreadable: number }> {
  const names = [...(await rotatedOf(path)).slice(-maxFiles), basename(path)]
  let events: AuditRecord[] = []
  let unreadable = 0
  for (const name of names.reverse()) {
    if (events.length >= last) break
    const file = await readGuarded(join(dirname(path), name), 4 * maxSize)
    const own: AuditRecord[] = []
    for (const line of file?.bytes.toString('utf8').split('\n') ?? []) {
      if (line === '') continue
      try {
        own.push(recordSchema.parse(JSON.parse(line)))
      } catch {
        unreadable++
      }
    }
    events = [...own, ...events]
  }
  return { events: events.slice(-last), unreadable }
}

function lineOf(event: AuditEvent, at: Date): string {
  const texts = Object.entries({ at: at.toISOString(), ...event }).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.slice(0, maxText) : value,
  ])
  return printableJson(JSON.stringify(Object.fromEntries(texts)))
}

async function append(
  path: string,
  lines: readonly string[],
  { limit, now }: { limit: number; now: () => Date },
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await takeOwner(dirname(path))
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW
  const handle = await open(path, flags, 0o600)
  try {
    const { size } = await handle.stat()
    // a record that was torn must not take the next one with it
    const before = (await endsTorn(handle, size)) ? '\n' : ''
    await handle.appendFile(`${before}${lines.join('\n')}\n`)
    await handle.datasync()
    if (size === 0) await takeOwner(path)
    if (size > limit) await rotate(path, now())
  } finally {
    await handle.close()
  }
}

/** Files that root creates belong to the owner of the state folder: the servers may run as another user, and write here, too. */
async function takeOwner(path: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = await stat(dirname(path))
  await chown(path, uid, gid)
}

async function endsTorn(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return false
  const last = Buffer.alloc(1)
  await handle.read(last, 0, 1, size - 1)
  return last[0] !== 0x0a
}

/** Another writer that has the file open appends to it under its new name: nothing is lost, and the name is used once. */
async function rotate(path: string, at: Date): Promise<void> {
  const time = at.toISOString().replace(/[-:]/g, '')
  await rename(path, `${path}.${time}-${process.pid}`).catch(() => {})
  const old = await rotatedOf(path)
  for (const name of old.slice(0, Math.max(0, old.length - (maxFiles - 1))))
    await rm(join(dirname(path), name), { force: true })
}

/** Names of the full files, the oldest first. */
async function rotatedOf(path: string): Promise<string[]> {
  const names = await readdir(dirname(path)).catch(() => [])
  return names.filter(name => name.startsWith(`${basename(path)}.`)).sort()
}
