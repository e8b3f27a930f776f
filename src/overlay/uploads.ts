import { randomUUID } from 'node:crypto'
import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '../core/atomic-file.ts'
import { AirgapError } from '../core/errors.ts'
import type { OverlayFolder } from './overlay-folder.ts'
import type { UploadLease, UploadName } from './owner.ts'

/** The upload sessions: which repository each belongs to, how far it is, and who writes to it. */
export interface Uploads {
  begin(at: { name: string; whole?: boolean }): Promise<{ id: string }>
  size(at: UploadName): number
  lease(at: UploadLease): number
  /**
   * Keeps the lease, also of a process that ends meanwhile, until the returned function is called: nobody else may write to a file that becomes
   * a blob. Throws BUSY where this process does not hold the lease.
   */
  commit(at: UploadLease): () => Promise<void>
  /** Counts bytes before they are written, and some more if there is room (bytes); returns up to which size of the file. */
  reserve(at: UploadLease & { size: number }, room: number): number
  /** Returns how many bytes of this upload are counted. */
  counted(at: UploadName): number
  /** of all files, with what is reserved */
  bytes(): number
  /** No longer counts this upload: its file is one of the blobs. */
  uncount(id: string): void
  release(at: UploadLease & { size: number }): void
  releaseAll(holder: string): Promise<void>
  /** Removes the session, with its file if that is still there. */
  remove(at: UploadLease): Promise<void>
  /** Removes the session; its file has become a blob. */
  done(id: string): Promise<void>
  /** Removes sessions that nobody has written to since `before`. */
  expire(before: number /* ms since 1970 */): Promise<void>
}

interface Session {
  name: string
  /** bytes */
  size: number
  /** bytes of the file that are counted before they are written; 0: none */
  reserved: number
  /** ms since 1970 */
  touched: number
  /** sent with the request that opened it: nobody continues it, and it has no file that says what it is */
  whole: boolean
  holder?: string
  /** its file is being made a blob; `released`: its process has ended since */
  committing?: 'held' | 'released'
}

/** Open sessions at once; a client could otherwise fill the folder with empty ones. */
const maxSessions = 10_000

/** Counted in advance, at most: a writer need not call for each chunk. Of a smaller upload an eighth, as many of them may run. */
const maxAhead = 64 << 20 /* bytes */

export async function openUploads(paths: OverlayFolder, { now }: { now: () => number }): Promise<Uploads> {
  const sessions = await readSessions(paths)

  function find({ name, id }: UploadName): Session {
    const found = sessions.get(id)
    if (found?.name === name) return found
    throw new AirgapError('NOT_FOUND', 'the upload does not exist', {
      item: id.slice(0, 100),
      likely: 'it was finished or cancelled, or nothing was sent for a day',
      next: 'start the upload again',
    })
  }

  async function removeFiles(id: string): Promise<void> {
    sessions.delete(id)
    await rm(paths.upload(id), { force: true })
    await rm(paths.upload(`${id}.json`), { force: true })
  }

  /** Ends the lease of a process that has ended. */
  async function abandon(id: string, session: Session): Promise<void> {
    // what the process has written is in the file, in order, whatever it could report
    const found = session.whole ? undefined : await stat(paths.upload(id)).catch(() => undefined)
    if (found === undefined) return await removeFiles(id)
    session.size = found.size
    session.reserved = 0
    session.touched = now()
    delete session.holder
  }

  return {
    async begin({ name, whole = false }) {
      if (sessions.size >= maxSessions) {
        throw new AirgapError('BUSY', 'too many uploads are open', {
          item: `${sessions.size} uploads`,
          next: 'try again later: uploads to which nothing is sent for a day are removed',
        })
      }
      const id = randomUUID()
      await (await open(paths.upload(id), 'wx', 0o600)).close()
      // not synced: after a power failure, a client starts again
      if (!whole) await writeFile(paths.upload(`${id}.json`), JSON.stringify({ name }), { mode: 0o600 })
      sessions.set(id, { name, whole, size: 0, reserved: 0, touched: now() })
      return { id }
    },
    size: at => find(at).size,
    lease(at) {
      const session = find(at)
      if (session.holder !== undefined) throw taken(at.id)
      session.holder = at.holder
      return session.size
    },
    commit(at) {
      const session = find(at)
      if (session.holder !== at.holder || session.committing !== undefined) throw taken(at.id)
      session.committing = 'held'
      return async () => {
        const isReleased = session.committing === 'released'
        delete session.committing
        if (isReleased && sessions.get(at.id) === session) await abandon(at.id, session)
      }
    },
    reserve(at, room) {
      const session = find(at)
      if (session.holder !== at.holder) throw taken(at.id)
      const ahead = Math.min(maxAhead, at.size >> 3, Math.floor(room / 8))
      session.reserved = at.size + Math.max(0, ahead)
      return session.reserved
    },
    counted(at) {
      const { size, reserved } = find(at)
      return Math.max(size, reserved)
    },
    bytes() {
      let bytes = 0
      for (const { size, reserved } of sessions.values()) bytes += Math.max(size, reserved)
      return bytes
    },
    uncount(id) {
      const session = sessions.get(id)
      if (session !== undefined) Object.assign(session, { size: 0, reserved: 0 })
    },
    release(at) {
      const session = sessions.get(at.id)
      if (session?.holder !== at.holder || session.committing !== undefined) return
      session.size = at.size
      session.reserved = 0
      session.touched = now()
      delete session.holder
    },
    async releaseAll(holder) {
      for (const [id, session] of sessions) {
        if (session.holder !== holder) continue
        if (session.committing === undefined) await abandon(id, session)
        else session.committing = 'released'
      }
    },
    async remove(at) {
      const session = find(at)
      const isTaken = session.holder !== undefined && session.holder !== at.holder
      if (isTaken || session.committing !== undefined) throw taken(at.id)
      await removeFiles(at.id)
    },
    done: removeFiles,
    async expire(before) {
      for (const [id, session] of sessions)
        if (session.holder === undefined && session.touched < before) await removeFiles(id)
    },
  }
}

function taken(id: string): AirgapError {
  return new AirgapError('BUSY', 'another request writes to this upload', {
    item: id,
    likely: 'the client has sent the request twice, or the connection of its last request is not closed yet',
    next: 'query the offset of the upload, then continue from there',
  })
}

/** Returns the sessions that were open when the servers ended; removes files that belong to none. */
async function readSessions(paths: OverlayFolder): Promise<Map<string, Session>> {
  const sessions = new Map<string, Session>()
  const files = new Set(await readdir(paths.uploads))
  for (const file of files) {
    const id = file.replace(/\.json$/, '')
    const session = file.endsWith('.json') && files.has(id) ? await readSession(paths, id) : undefined
    if (session !== undefined) sessions.set(id, session)
  }
  for (const file of files) {
    if (sessions.has(file.replace(/\.json$/, ''))) continue
    await rm(join(paths.uploads, file), { force: true })
  }
  await syncFolder(paths.uploads)
  return sessions
}

async function readSession(paths: OverlayFolder, id: string): Promise<Session | undefined> {
  try {
    const { name } = JSON.parse(await readFile(paths.upload(`${id}.json`), 'utf8')) as { name: string }
    const { size, mtimeMs } = await stat(paths.upload(id))
    return { name, whole: false, size, reserved: 0, touched: mtimeMs }
  } catch {
    return undefined
  }
}
