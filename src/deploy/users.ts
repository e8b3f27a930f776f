import { appendAudit } from '../access/audit.ts'
import { checkPassword, hashPassword } from '../access/passwords.ts'
import type { Role } from '../access/roles.ts'
import {
  checkUserName,
  readUsersFile,
  type User,
  type UsersFile,
  usersOf,
  writeUsersFile,
} from '../access/users-file.ts'
import { AirgapError } from '../core/errors.ts'
import { nearNames } from '../core/near-names.ts'
import { oneLine } from '../core/printable.ts'
import { acquireProcessLock } from '../core/process-lock.ts'
import { openState, pathsOf } from '../site/state.ts'
import { reloadService } from './service-reload.ts'
import { findSite } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

/** The users of a site, without their passwords. */
export interface ListedUsers {
  /** path of the users' file */
  file: string
  users: Pick<User, 'name' | 'role'>[]
}

export interface ChangedUser extends ListedUsers {
  name: string
  written: boolean
  /** passwords of this site would cross its network in clear text */
  plain: boolean
}

export interface UserChange {
  name: string
  dryRun: boolean
  /** who makes the change, for the audit log */
  by: string
}

/** Lists the users. Throws PERMISSION, SITE_INVALID. */
export async function listUsers(options: SiteOptions): Promise<ListedUsers> {
  const { siteFolder } = await findSite(options)
  return listed(await readUsersFile(pathsOf(siteFolder).users))
}

/** Adds a user. `askPassword` is called once the name is known to be free. Throws USAGE, PERMISSION, SITE_INVALID. */
export async function addUser(
  options: SiteOptions,
  { name, role, askPassword, ...how }: UserChange & { role: Role; askPassword: () => Promise<string> },
): Promise<ChangedUser> {
  const normal = checkUserName(name)
  const refuseExisting = (file: UsersFile) => {
    const existing = usersOf(file).get(normal)
    if (existing === undefined) return
    throw new AirgapError('USAGE', `the user ${oneLine(normal)} exists, with the role ${existing.role}`, {
      item: file.path,
      next: `set a password with \`offline-deploy users password\`; to change the role, run \`offline-deploy users remove\` first`,
    })
  }
  return await changeUsers(options, { ...how, name: normal, what: 'users add' }, async file => {
    refuseExisting(file)
    const password = await askPassword()
    checkPassword(password, { name: normal })
    const user = { name: normal, role, hash: how.dryRun ? '' : await hashPassword(password) }
    return [...file.lines, user]
  })
}

/** Removes a user, whose tokens are refused from then on. Throws USAGE for a name that does not exist. */
export async function removeUser(options: SiteOptions, change: UserChange): Promise<ChangedUser> {
  return await changeUsers(options, { ...change, what: 'users remove' }, async file => {
    const user = userNamed(file, change.name)
    return file.lines.filter(line => line !== user)
  })
}

/** Replaces the password of a user, and keeps the role. Throws USAGE for a name that does not exist. */
export async function changePassword(
  options: SiteOptions,
  { askPassword, ...change }: UserChange & { askPassword: () => Promise<string> },
): Promise<ChangedUser> {
  return await changeUsers(options, { ...change, what: 'users password' }, async file => {
    const user = userNamed(file, change.name)
    const password = await askPassword()
    checkPassword(password, { name: user.name })
    const hash = change.dryRun ? '' : await hashPassword(password)
    return file.lines.map(line => (line === user ? { ...user, hash } : line))
  })
}

/** Two commands at once would otherwise lose the change of one. */
async function changeUsers(
  options: SiteOptions,
  { name, dryRun, by, what }: UserChange & { what: string },
  change: (file: UsersFile) => Promise<UsersFile['lines']>,
): Promise<ChangedUser> {
  const { siteFolder, saved } = await findSite(options)
  const plain = saved !== undefined && saved.tls === null
  if (dryRun) {
    const file = await readUsersFile(pathsOf(siteFolder).users)
    return { name, written: false, plain, ...listed({ ...file, lines: await change(file) }) }
  }
  const { paths } = await openState(siteFolder)
  await using _lock = await acquireProcessLock(`${paths.users}.lock`, `${siteFolder}: the users of this site`)
  const file = await readUsersFile(paths.users)
  const changed = { ...file, lines: await change(file) }
  await writeUsersFile(changed)
  await appendAudit(paths.audit, { what, result: 'ok', user: by, subject: name }, () => new Date())
  await reloadService(paths)
  return { name, written: true, plain, ...listed(changed) }
}

function userNamed(file: UsersFile, name: string): User {
  const users = usersOf(file)
  const found = users.get(name.normalize('NFC'))
  if (found !== undefined) return found
  const near = nearNames(name, users.keys()).map(oneLine)
  throw new AirgapError('USAGE', 'the site has no user of this name', {
    item: JSON.stringify(name.slice(0, 300)),
    next:
      near.length > 0
        ? `did you mean ${near.join(' or ')}? \`offline-deploy users list\` shows all`
        : 'show the users with `offline-deploy users list`',
  })
}

function listed(file: UsersFile): ListedUsers {
  const users = [...usersOf(file).values()].map(({ name, role }) => ({ name, role }))
  return { file: file.path, users }
}
