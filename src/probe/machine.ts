import { execFile } from 'node:child_process'
import { readdir, readFile, statfs } from 'node:fs/promises'
import { arch, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { readOsRelease } from './os-release.ts'
import type { Probe } from './schema.ts'

const maxFile = 64 << 20 /* bytes; dpkg's status file has 10 MB for 5,000 packages */

/**
 * Describes the machine whose root file system is `root`. Requires no privileges; what cannot be read is omitted. Kernel, memory
 * and CPUs are those of the running system. Throws UNSUPPORTED if there is no os-release.
 */
export async function probeMachine(root: string): Promise<Probe> {
  const os = await osRelease(root)
  const debian = await textOf(join(root, 'var/lib/dpkg/status'))
  return {
    probeVersion: 1,
    os,
    kernel: { release: release() },
    architecture: debian === undefined ? rpmArchitecture() : debArchitecture(),
    pci: await pciDevices(root),
    secureBoot: await secureBoot(root),
    memory: totalmem(),
    cpus: cpus().length,
    disks: await disks(root),
    mounts: await mounts(root),
    packages: debian === undefined ? await rpmPackages(root) : debPackages(debian),
  }
}

async function osRelease(root: string): Promise<Probe['os']> {
  const release = await readOsRelease(root)
  if (release !== undefined) return { ...release, like: release.like && [...release.like] }
  throw new AirgapError(
    'UNSUPPORTED',
    'the operating system cannot be identified: os-release is missing or has no ID',
    {
      item: join(root, 'etc/os-release'),
      likely: 'it is not a Linux system, or --root is not the root of one',
      next: 'pass the root of the system with --root',
    },
  )
}

function debArchitecture(): string {
  return (
    { x64: 'amd64', arm64: 'arm64', ppc64: 'ppc64el', riscv64: 'riscv64', s390x: 's390x' }[
      arch() as string
    ] ?? arch()
  )
}

function rpmArchitecture(): string {
  return { x64: 'x86_64', arm64: 'aarch64', ppc64: 'ppc64le' }[arch() as string] ?? arch()
}

/** Returns the installed packages of dpkg's status file, in its order. */
function debPackages(status: string): Probe['packages'] {
  return status.split('\n\n').flatMap(stanza => {
    const field = (name: string) => new RegExp(`^${name}: *(.+)$`, 'm').exec(stanza)?.[1]?.trim()
    const [name, version, architecture] = [field('Package'), field('Version'), field('Architecture')]
    const installed = field('Status')?.endsWith(' installed') ?? false
    return installed && name && version && architecture ? [{ name, version, architecture }] : []
  })
}

/** Runs rpm, because its database has had three formats. Returns an empty list if there is no rpm. */
async function rpmPackages(root: string): Promise<Probe['packages']> {
  const format = '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\\n'
  const output = await promisify(execFile)('rpm', ['--root', root, '-qa', '--qf', format], {
    maxBuffer: maxFile,
    timeout: 60_000,
  }).catch(() => undefined)
  return (output?.stdout ?? '').split('\n').flatMap(line => {
    const [name, version, architecture] = line.split(' ')
    // gpg-pubkey entries are keys, not packages
    if (!name || !version || !architecture || architecture === '(none)') return []
    return [{ name, version: version.replace(/^0:/, ''), architecture }]
  })
}

async function pciDevices(root: string): Promise<Probe['pci']> {
  const folder = join(root, 'sys/bus/pci/devices')
  const devices = await Promise.all(
    (await namesIn(folder)).map(async name => {
      const read = async (file: string) => (await textOf(join(folder, name, file)))?.trim().replace(/^0x/, '')
      const [vendor, device, kind] = [await read('vendor'), await read('device'), await read('class')]
      return vendor && device && kind ? [{ id: `${vendor}:${device}`, class: kind }] : []
    }),
  )
  return devices.flat()
}

/** UEFI specification, "SecureBoot": four bytes of attributes, then the value. */
async function secureBoot(root: string): Promise<Probe['secureBoot']> {
  const folder = join(root, 'sys/firmware/efi')
  if ((await namesIn(folder)).length === 0) return 'none'
  const name = (await namesIn(join(folder, 'efivars'))).find(file => file.startsWith('SecureBoot-'))
  if (name === undefined) return 'unknown'
  const bytes = await readFile(join(folder, 'efivars', name)).catch(() => undefined)
  return bytes === undefined ? 'unknown' : bytes[4] === 1 ? 'on' : 'off'
}

async function disks(root: string): Promise<Probe['disks']> {
  const folder = join(root, 'sys/block')
  const found = await Promise.all(
    (await namesIn(folder)).map(async name => {
      const sectors = Number((await textOf(join(folder, name, 'size')))?.trim())
      const model = (await textOf(join(folder, name, 'device/model')))?.trim()
      const isDisk = /^(?:sd|vd|xvd|nvme|hd|mmcblk|dasd)/.test(name)
      if (!isDisk || !Number.isSafeInteger(sectors)) return []
      return [defined({ name, size: sectors * 512, model: model || undefined })]
    }),
  )
  return found.flat()
}

/** Returns the mounted file systems on block devices (proc(5), mounts), each device once. */
async function mounts(root: string): Promise<Probe['mounts']> {
  const table = (await textOf('/proc/mounts')) ?? ''
  const seen = new Set<string>()
  const found: Probe['mounts'] = []
  for (const line of table.split('\n')) {
    const [device = '', escaped = ''] = line.split(' ')
    if (!device.startsWith('/') || seen.has(device)) continue
    seen.add(device)
    const path = escaped.replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    )
    const space = await statfs(join(root, path)).catch(() => undefined)
    if (space !== undefined)
      found.push({ path, size: space.blocks * space.bsize, free: space.bavail * space.bsize })
  }
  return found
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort()
}

async function textOf(path: string): Promise<string | undefined> {
  const bytes = await readFile(path).catch(() => undefined)
  return bytes === undefined || bytes.length > maxFile ? undefined : bytes.toString('utf8')
}
