import { readFile, realpath, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/**
 * Returns a text that is the same as long as the disk with this file was connected all the time; undefined where that cannot be known. A file
 * whose state (core/file-state.ts) and attachment are the same as before was not written to, except by a user of this machine who may.
 *
 * A medium that was away can come back with other bytes: its holder can set every time in its file system. Linux numbers disks each
 * time one is connected or its medium is changed (diskseq, 5.15; of older kernels, only disks that cannot be unplugged count). After a reboot
 * nothing is known. Other hosts write to network file systems, and to programs' file systems (FUSE) anybody may.
 */
export async function attachmentOf(path: string): Promise<string | undefined> {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
    const { dev } = await stat(path)
    const disk = major(dev) === 0 ? await withoutDisk(path) : await diskOf(dev)
    return disk === undefined ? undefined : `${boot} ${disk}`
  } catch {
    // not Linux, or a container without /sys
    return undefined
  }
}

/** statfs(2): file systems that have no disk of their own, and that only this machine writes to. */
const ownFileSystems = new Map([
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlay'],
])

async function withoutDisk(path: string): Promise<string | undefined> {
  return ownFileSystems.get((await statfs(path)).type)
}

/** sysfs: the folder of a partition is in the one of its disk. */
async function diskOf(device: number): Promise<string | undefined> {
  const folder = await realpath(`/sys/dev/block/${major(device)}:${minor(device)}`)
  const disk = (await exists(join(folder, 'partition'))) ? dirname(folder) : folder
  const sequence = await readFile(join(disk, 'diskseq'), 'utf8').catch(() => undefined)
  if (sequence !== undefined) return `disk ${sequence.trim()}`
  const removable = (await readFile(join(disk, 'removable'), 'utf8')).trim() !== '0'
  return removable || /\/(?:usb|mmc|firewire)/.test(disk) ? undefined : 'fixed disk'
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

/** makedev(3) of the GNU C library */
function major(device: number): number {
  const number = BigInt(device)
  return Number(((number >> 32n) & 0xfffff000n) | ((number >> 8n) & 0xfffn))
}

function minor(device: number): number {
  const number = BigInt(device)
  return Number(((number >> 12n) & 0xffffff00n) | (number & 0xffn))
}
