import { execFile } from 'node:child_process'
import type { Stats } from 'node:fs'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { AirgapError, errnoOf, fromSystemError } from './errors.ts'

/** A folder whose content decides what this program does: state of a site, a cache. */
export interface PrivateFolder {
  path: string
  /** what it is, for the message: `the state folder` */
  what: string
  /** how to choose another one: `--site FOLDER` */
  elsewhere: string
}

/** Names further users whose files count as one's own, by their numbers: `1000,1001`. */
export const trustedUsersVariable = 'AIRGAP_TRUSTED_USERS'

/**
 * Refuses a folder that another user could have prepared or could still change, as sshd's StrictModes does (auth_secure_path of OpenSSH's
 * misc.c): the folder, every entry in it, every parent and every symbolic link on the way must belong to root or to this user, and nobody
 * else may write to it. A parent that others may write to is accepted where it has the sticky bit (/tmp): nobody can replace there what
 * belongs to another user. A group may write where it has no members but trusted users, as a user's own group (Debian's patch of the same
 * function); access control lists are not understood and refused there.
 *
 * For root, the user who logged in (loginuid) or ran sudo counts as trusted: they are root already. What does not exist yet has no
 * owner: only its parents are checked. Throws PERMISSION.
 */
export async function refuseForeignFolder(
  folder: PrivateFolder,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const checked: Check = { folder, trusted: await trustedUsers(env), groups: new Map() }
  const path = await checkWay(resolve(folder.path), checked)
  const found = await statOf(path)
  if (!found?.isDirectory()) return
  // no exception for the sticky bit: others could add files there
  await checkEntry(path, found, { ...checked, sticky: 'refused' })
  const names = await readdir(path).catch(error => {
    throw fromSystemError(error, path)
  })
  for (const name of names) {
    const entry = join(path, name)
    const stats = await statOf(entry)
    if (stats?.isSymbolicLink()) await checkWay(entry, checked)
    else if (stats !== undefined) await checkEntry(entry, stats, { ...checked, sticky: 'refused' })
  }
}

interface Check {
  folder: PrivateFolder
  trusted: ReadonlySet<number>
  /** whether every member of a group is trusted */
  groups: Map<number, Promise<boolean>>
}

/** As many as the kernel follows. */
const maxLinks = 40

/** Checks what is on the way to a path, from the root on, and returns the path without symbolic links. */
async function checkWay(path: string, check: Check): Promise<string> {
  let done = '/'
  let rest = path.split('/').filter(part => part !== '')
  let links = 0
  const root = await statOf('/')
  if (root !== undefined) await checkEntry('/', root, { ...check, sticky: 'accepted' })
  while (rest.length > 0) {
    const [name = '', ...others] = rest
    rest = others
    if (name === '.' || name === '..') {
      done = name === '..' ? dirname(done) : done
      continue
    }
    const next = join(done, name)
    const stats = await statOf(next)
    if (stats === undefined) return join(next, ...rest)
    if (stats.isSymbolicLink()) {
      if (++links > maxLinks) throw refused(next, 'has too many symbolic links', check)
      // everybody may write through a link: only its owner counts
      checkOwner(next, stats, check)
      const target = await readlink(next)
      if (target.startsWith('/')) done = '/'
      rest = [...target.split('/').filter(part => part !== ''), ...rest]
      continue
    }
    if (rest.length > 0) await checkEntry(next, stats, { ...check, sticky: 'accepted' })
    done = next
  }
  return done
}

async function checkEntry(
  path: string,
  stats: Stats,
  check: Check & { sticky: 'accepted' | 'refused' },
): Promise<void> {
  checkOwner(path, stats, check)
  const { mode, gid } = stats
  if (check.sticky === 'accepted' && (mode & 0o1000) !== 0) return
  const others = (mode & 0o002) !== 0
  if (!others && ((mode & 0o020) === 0 || (await isOwnGroup(path, gid, check)))) return
  const who = others ? 'every user' : `the group ${gid}`
  throw refused(
    path,
    `can be written by ${who} (mode ${(mode & 0o7777).toString(8).padStart(4, '0')})`,
    check,
  )
}

function checkOwner(path: string, { uid }: Stats, check: Check): void {
  if (!check.trusted.has(uid)) throw refused(path, `belongs to another user (${uid})`, check, uid)
}

/** root, this user, and where this user is root, the one who became root. */
async function trustedUsers(env: NodeJS.ProcessEnv): Promise<Set<number>> {
  const own = process.geteuid?.() ?? 0
  const users = new Set([0, own])
  for (const text of (env[trustedUsersVariable] ?? '').split(/[\s,]+/))
    if (/^\d+$/.test(text)) users.add(Number(text))
  if (own === 0) {
    // proc(5): set at login, kept through sudo and su; 4294967295 where nobody has logged in
    const login = await readFile('/proc/self/loginuid', 'utf8').catch(() => '')
    for (const text of [login.trim(), env['SUDO_UID'] ?? '', env['PKEXEC_UID'] ?? ''])
      if (/^\d+$/.test(text) && Number(text) < 0xffff_ffff) users.add(Number(text))
  }
  // in a user namespace, users outside of it all have the overflow number: root of the machine is among them, and who is not cannot be seen
  const overflow = Number(await readFile('/proc/sys/kernel/overflowuid', 'utf8').catch(() => '65534'))
  const map = await readFile('/proc/self/uid_map', 'utf8').catch(() => '')
  const isMapped = map.split('\n').some(line => {
    const [inside = Number.NaN, , count = 0] = line.trim().split(/\s+/).map(Number)
    return inside <= overflow && overflow < inside + count
  })
  if (map.trim() !== '' && !isMapped) users.add(overflow)
  return users
}

async function isOwnGroup(path: string, gid: number, check: Check): Promise<boolean> {
  let known = check.groups.get(gid)
  if (known === undefined) check.groups.set(gid, (known = hasOnlyTrustedMembers(gid, check.trusted)))
  return (await known) && !(await hasAccessList(path))
}

/** A group that is not in /etc/group (of a directory service) has members that nobody can know here. */
async function hasOnlyTrustedMembers(gid: number, trusted: ReadonlySet<number>): Promise<boolean> {
  const [groups, users] = await Promise.all(
    ['/etc/group', '/etc/passwd'].map(async file =>
      (await readFile(file, 'utf8').catch(() => '')).split('\n').map(line => line.split(':')),
    ),
  )
  const group = groups?.find(([, , number]) => number === String(gid))
  if (group === undefined || users === undefined) return false
  const listed = (group[3] ?? '').split(',').filter(name => name !== '')
  const members = users.filter(([name = '', , , primary]) => primary === String(gid) || listed.includes(name))
  return (
    listed.every(name => users.some(([user]) => user === name)) &&
    members.every(([, , uid]) => trusted.has(Number(uid)))
  )
}

/** Where there is a list, the bits of the group are only its mask (acl(5)): ls(1) marks it with a plus. */
async function hasAccessList(path: string): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)('ls', ['-ldn', '--', path], {
      env: { ...process.env, LC_ALL: 'C' },
    })
    return /^\S{10}\+/.test(stdout)
  } catch {
    return true
  }
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw fromSystemError(error, path)
  }
}

function refused(path: string, why: string, { folder }: Check, uid?: number): AirgapError {
  const own = resolve(folder.path) === path
  const what = own
    ? `${folder.what} ${why}`
    : `${folder.what} cannot be trusted: ${path.startsWith(`${resolve(folder.path)}/`) ? 'a file in it' : 'a folder above it'} ${why}`
  const self = process.geteuid?.() ?? 0
  return new AirgapError('PERMISSION', what, {
    item: path,
    likely:
      uid === undefined
        ? 'a shared folder, or a medium without file permissions (vfat, exfat, NTFS) that was mounted for everyone'
        : 'another user made it, or you became root with `su -`, or this is a container with a folder of its host',
    next:
      uid === undefined
        ? `choose another folder with ${folder.elsewhere}, or keep others out: chmod go-w ${path} (of a medium: mount it with -o umask=022,uid=${self})`
        : `choose another folder with ${folder.elsewhere}; if you trust everything in it, chown -R ${self} ${path}, or set ${trustedUsersVariable}=${uid} if that user is you`,
  })
}
