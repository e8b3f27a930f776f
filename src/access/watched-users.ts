import { fileStateAt, stateText } from '../core/file-state.ts'
import { readUsersFile, type User, usersOf } from './users-file.ts'

/** The users of a site while it is served: changes of the file are taken up. */
export interface WatchedUsers {
  current(): ReadonlyMap<string, User>
  /** Reads the file again where it has changed. */
  refresh(): Promise<void>
  close(): void
}

/** A look at the file's state costs 50 µs. Notices of the kernel (inotify) do not come for all file systems, nor for a file that is replaced. */
const lookEveryMs = 500

/**
 * Reads the file, and throws what is wrong with it (`readUsersFile`). A file that becomes unreadable later has no users until it is
 * repaired: with those from before, a user who was removed in the same edit would stay. `failed` is then called once.
 */
export async function watchUsers(
  path: string,
  { changed, failed }: { changed: () => void; failed: (error: unknown) => void },
): Promise<WatchedUsers> {
  let state = await fileState(path)
  let users: ReadonlyMap<string, User> = usersOf(await readUsersFile(path))
  let refreshing: Promise<void> | undefined

  async function refresh(): Promise<void> {
    const present = await fileState(path)
    if (present === state) return
    try {
      users = usersOf(await readUsersFile(path))
    } catch (error) {
      users = new Map()
      failed(error)
    }
    state = present
    changed()
  }

  function once(): Promise<void> {
    refreshing ??= refresh().finally(() => {
      refreshing = undefined
    })
    return refreshing
  }

  const timer = setInterval(() => void once(), lookEveryMs)
  timer.unref()
  return { current: () => users, refresh: once, close: () => clearInterval(timer) }
}

/** Empty where there is no file. */
async function fileState(path: string): Promise<string> {
  return await fileStateAt(path).then(
    state => stateText([state]),
    () => '',
  )
}
