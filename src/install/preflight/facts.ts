import type { OsRelease } from '../../probe/os-release.ts'

/** What a machine reports about itself. Its answer is untrusted: each value has a narrow form, and any other value is dropped. */

/** Folders that need disk space, by their names in the probe. */
export const diskPaths = {
  root: '/',
  var: '/var',
  containerd: '/var/lib/containerd',
  etcd: '/var/lib/etcd',
} as const
export type DiskName = keyof typeof diskPaths

/** Ports of Kubernetes, and the program that listens there. */
export const kubernetesPorts = {
  6443: 'API server',
  2379: 'etcd, clients',
  2380: 'etcd, members',
  10250: 'kubelet',
  10257: 'controller manager',
  10259: 'scheduler',
} as const

export interface Disk {
  /** bytes */
  free: number
  /** the file system: two paths on the same one share its space */
  device: string
}

export interface MachineFacts {
  /** os-release(5): ID, ID_LIKE, VERSION_ID, VERSION_CODENAME, PLATFORM_ID, PRETTY_NAME */
  osId?: string
  osLike?: string[]
  osVersion?: string
  osCodename?: string
  osPlatform?: string
  osName?: string
  /** uname -r */
  kernel?: string
  /** as images and packages name it: amd64, arm64 */
  architecture?: string
  cpus?: number
  /** bytes */
  memory?: number
  disks: Partial<Record<DiskName, Disk>>
  /** of Kubernetes, where something listens */
  ports: number[]
  /** seconds since 1970 */
  time?: number
  selinux?: 'enforcing' | 'permissive' | 'disabled'
  apparmor?: boolean
  swap?: boolean
  /** of the programs that matter: kubelet, dockerd, … */
  running: string[]
  /** of container runtimes */
  sockets: string[]
  defaultRoute?: boolean
  nameservers: string[]
  /** `apt=10.0.0.9:3128`: which program or place uses which proxy, without its password */
  proxies: string[]
  /** `environment=localhost,10.0.0.0/8`: what each of them reaches without its proxy */
  noProxy: string[]
  /** 3.11.2 */
  python?: string
  sudo?: 'ok' | 'password' | 'wrong' | 'refused' | 'missing'
  /** its message where it does not work */
  sudoSays?: string
  hostname?: string
  /** a hash of it: machine-id(5) says not to expose the id itself */
  machineId?: string
  /** NVIDIA's display devices */
  nvidia?: number
  /** version of NVIDIA's driver that is loaded */
  driver?: string
  nouveau?: boolean
  secureBoot?: boolean
  systemd?: boolean
}

export interface Answer {
  facts: MachineFacts
  /** what is wrong with the answer itself */
  flaws: string[]
}

export const begin = 'airgap-preflight 1'
export const end = 'airgap-preflight end'

/** The release of a machine; undefined where it did not report one. */
export function releaseOf(facts: MachineFacts): OsRelease | undefined {
  const { osId, osLike, osVersion, osCodename, osPlatform } = facts
  if (osId === undefined) return undefined
  return { id: osId, like: osLike, version: osVersion, codename: osCodename, platform: osPlatform }
}

const maxLine = 1_000
const maxLines = 200
/** of the whole answer */
export const maxAnswer = 256 << 10

/** Undefined where there is no answer: the script did not run. */
export function parseAnswer(text: string): Answer | undefined {
  // a login shell may print a greeting before it, and more after it
  const lines = text.slice(0, maxAnswer).split('\n', 10_000)
  const start = lines.indexOf(begin)
  if (start === -1) return undefined
  const stop = lines.indexOf(end, start)
  const own = lines.slice(start + 1, stop === -1 ? undefined : stop)
  const flaws = new Set<string>(stop === -1 ? ['it ends too early'] : [])
  if (own.length > maxLines) flaws.add(`more than ${maxLines} lines`)
  const values = new Map<string, string>()
  for (const line of own.slice(0, maxLines)) {
    const [, key, value] = /^([a-zA-Z]{1,20}(?:\.[a-z]{1,20})?)=(.*)$/s.exec(line.slice(0, maxLine)) ?? []
    if (line.length > maxLine) flaws.add('a line is too long')
    else if (key === undefined || value === undefined || !/^[\x20-\x7e]*$/.test(value))
      flaws.add('a line is not text')
    else if (!Object.hasOwn(read, key) && !/^disk\./.test(key)) flaws.add('a key is unknown')
    else if (values.has(key)) flaws.add(`${key} appears twice`)
    else if (value !== '') values.set(key, value)
  }
  const facts: MachineFacts = {
    disks: {},
    ports: [],
    running: [],
    sockets: [],
    nameservers: [],
    proxies: [],
    noProxy: [],
  }
  for (const [key, value] of values) if (!take(facts, key, value)) flaws.add(`${key} is malformed`)
  return { facts, flaws: [...flaws] }
}

function take(facts: MachineFacts, key: string, value: string): boolean {
  const disk = /^disk\.(.*)$/.exec(key)?.[1]
  if (disk !== undefined) {
    const [, free, device] = /^([0-9]{1,15}) ([0-9]{1,20})$/.exec(value) ?? []
    if (free === undefined || device === undefined || !Object.hasOwn(diskPaths, disk)) return false
    facts.disks[disk as DiskName] = { free: Number(free) * 1024, device }
    return true
  }
  const found = read[key as keyof typeof read](value)
  if (found === undefined) return false
  Object.assign(facts, { [key]: found })
  return true
}

const matching = (pattern: RegExp) => (text: string) => (pattern.test(text) ? text : undefined)
const oneOf =
  <T extends string>(...known: T[]) =>
  (text: string) =>
    known.find(one => one === text)
const yesNo = (text: string) => (text === 'yes' ? true : text === 'no' ? false : undefined)
const whole =
  (digits: number, factor = 1) =>
  (text: string) =>
    new RegExp(`^[0-9]{1,${digits}}$`).test(text) ? Number(text) * factor : undefined
const words = (pattern: RegExp) => (text: string) => {
  const found = text.split(' ').filter(Boolean)
  return found.length <= 20 && found.every(word => pattern.test(word)) ? [...new Set(found)] : undefined
}
const architectures: Record<string, string> = { x86_64: 'amd64', aarch64: 'arm64' }

const read: { [K in Exclude<keyof MachineFacts, 'disks'>]-?: (text: string) => MachineFacts[K] | undefined } =
  {
    // openEuler writes its ID with capitals, against os-release(5)
    osId: text => matching(/^[a-z0-9._-]{1,40}$/)(text.toLowerCase()),
    osLike: text => words(/^[a-z0-9._-]{1,40}$/)(text.toLowerCase()),
    osVersion: matching(/^[A-Za-z0-9._-]{1,40}$/),
    osCodename: matching(/^[A-Za-z0-9._-]{1,40}$/),
    osPlatform: matching(/^[A-Za-z0-9:._-]{1,40}$/),
    osName: matching(/^.{1,100}$/),
    kernel: matching(/^[A-Za-z0-9._+~-]{1,100}$/),
    architecture: text => architectures[text] ?? matching(/^[a-z0-9_]{1,20}$/)(text),
    cpus: whole(6),
    memory: whole(12, 1024),
    ports(text) {
      const found = words(/^[0-9A-F]{4}$/)(text)?.map(port => Number.parseInt(port, 16))
      return found?.every(port => Object.hasOwn(kubernetesPorts, port)) ? found : undefined
    },
    time: whole(11),
    selinux: oneOf('enforcing', 'permissive', 'disabled'),
    apparmor: yesNo,
    swap: yesNo,
    running: words(/^[a-z-]{1,20}$/),
    sockets: words(/^[a-z-]{1,20}$/),
    defaultRoute: yesNo,
    nameservers: words(/^[0-9a-fA-F.:]{2,45}(?:%[a-z0-9.]{1,20})?$/),
    proxies: words(/^(?:apt|dnf|environment|containerd|docker)=[A-Za-z0-9._:[\]-]{1,200}$/),
    noProxy: words(/^(?:apt|environment|containerd|docker)=[A-Za-z0-9._:[\]*,/-]{1,900}$/),
    python: matching(/^[23]\.[0-9]{1,3}\.[0-9]{1,3}$/),
    sudo: oneOf('ok', 'password', 'wrong', 'refused', 'missing'),
    sudoSays: matching(/^.{1,200}$/),
    hostname: matching(/^[A-Za-z0-9._-]{1,255}$/),
    machineId: matching(/^[0-9a-f]{32}$/),
    nvidia: whole(4),
    driver: matching(/^[0-9]{1,4}(?:\.[0-9]{1,4}){0,3}$/),
    nouveau: yesNo,
    secureBoot: yesNo,
    systemd: yesNo,
  }
