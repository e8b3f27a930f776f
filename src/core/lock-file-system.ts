import { readFile, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'

/** The file system that a path is on, as mounted. */
export interface MountedFileSystem {
  /** `ext4`, `nfs4`, `fuse.sshfs`; `unknown` without /proc */
  type: string
  /** where it is mounted */
  point: string
  /** of the mount and of the file system */
  options: readonly string[]
}

/** Returns the file system of a file or of the folder in which it is to be. */
export async function fileSystemOf(path: string): Promise<MountedFileSystem> {
  const folder = await realpath(path).catch(() => realpath(dirname(path)).catch(() => dirname(path)))
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  return mountOf(folder, table)
}

/** Finds the mount of an absolute path in /proc/PID/mountinfo (proc(5)); of several on one folder, the last one is on top. */
export function mountOf(path: string, table: string): MountedFileSystem {
  let best: MountedFileSystem | undefined
  for (const line of table.split('\n')) {
    const [before = '', after] = line.split(' - ')
    const [, , , , point = '', options = ''] = before.split(' ')
    const [type, , superOptions = ''] = after?.split(' ') ?? []
    if (type === undefined) continue
    const folder = point.replace(/\\([0-7]{3})/g, (_, octal) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    )
    const isInside = folder === '/' || path === folder || path.startsWith(`${folder}/`)
    if (!isInside || (best !== undefined && folder.length < best.point.length)) continue
    const all = [...options.split(','), ...superOptions.split(',')]
    best = { type, point: folder, options: all }
  }
  return best ?? { type: 'unknown', point: '/', options: [] }
}

/** What several machines, or a host and its guests, share, and whose locks each of them has for itself. */
const sharedTypes: ReadonlySet<string> = new Set(['9p', 'virtiofs', 'vboxsf', 'afs', 'coda', 'beegfs'])
const sharedPrograms =
  /^fuse\.(?:sshfs|s3fs|mount-s3|rclone|gcsfuse|goofys|geesefs|davfs2?|curlftpfs|blobfuse2?|vmhgfs-fuse|gvfsd-fuse|smbnetfs)$/

const localOnly = 'locks stay on this machine, while others share the files'

/**
 * Returns why locks of flock(2) on this file system do not hold against everyone who can write to it; undefined where they do. Locks that
 * only one machine knows are enough for disks of that machine, not for what it shares with others.
 */
export function unreliableLocks({ type, point, options }: MountedFileSystem): string | undefined {
  const mountedWith = (...names: string[]) => {
    const found = names.find(name => options.includes(name))
    return found && `mounted with ${found}: ${localOnly}`
  }
  // nfs(5): flock is a lock of the server unless one of these keeps it on the client
  if (type === 'nfs' || type === 'nfs4') return mountedWith('nolock', 'local_lock=all', 'local_lock=flock')
  if (type === 'cifs' || type === 'smb3') return mountedWith('nobrl')
  if (type === 'gfs2') return mountedWith('localflocks')
  if (type === 'lustre') return options.includes('flock') ? undefined : 'mounted without the option flock'
  // the root of a container or guest is its own (Kata, gVisor)
  if (sharedTypes.has(type) && point !== '/') return localOnly
  return sharedPrograms.test(type) ? localOnly : undefined
}
