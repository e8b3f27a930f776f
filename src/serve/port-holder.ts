import { readdir, readFile, readlink } from 'node:fs/promises'
import { printableLine } from '../core/printable.ts'

/**
 * Returns which process listens on a TCP port of this machine, as `nginx (process 4711)`; undefined if that cannot be determined (another
 * user's process, no /proc). Source: proc_net(5), proc_pid_fd(5).
 */
export async function describeHolder(port: number): Promise<string | undefined> {
  const inodes = new Set<string>()
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const text = await readFile(table, 'latin1').catch(() => '')
    for (const inode of listeningInodes(text, port)) inodes.add(`socket:[${inode}]`)
  }
  if (inodes.size === 0) return undefined
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(pid) || !(await holdsOne(pid, inodes))) continue
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim()
    // a process chooses its own name
    return `${printableLine(name, 100) || 'a process'} (process ${pid})`
  }
  return undefined
}

/** Parses /proc/net/tcp: sl, local address:port in hex, remote, state (0A = LISTEN), …, and the inode as tenth field. */
export function listeningInodes(table: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  const found: string[] = []
  for (const line of table.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/)
    const [, local, , state] = fields
    const inode = fields[9]
    if (state === '0A' && local?.endsWith(`:${wanted}`) && inode !== undefined) found.push(inode)
  }
  return found
}

async function holdsOne(pid: string, inodes: Set<string>): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => [])
  for (const descriptor of descriptors) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')
    if (inodes.has(target)) return true
  }
  return false
}
