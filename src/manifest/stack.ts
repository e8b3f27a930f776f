import type { Platform } from '../core/platform.ts'
import type { Reference } from '../core/reference.ts'

/**
 * The manifest as the program uses it: lists read in, names parsed, paths made absolute, defaults filled in.
 * `at` is `file:line:column` of what was written, for messages.
 */
export interface StackManifest {
  /** absolute path of the manifest */
  file: string
  /** absolute folder that relative paths are meant from */
  folder: string
  name: string
  version: string
  platforms: Platform[]
  sources: SourceRemap[]
  images: ImageRequest[]
  charts: ChartRequest[]
  files: FileRequest[]
  debs: DebRequest[]
  rpms: RpmRequest[]
  wheels: WheelRequest[]
  trees: TreeRequest[]
  deployments: DeploymentRequest[]
  excuses: Excuse[]
  /** all that the manifest has, sorted by name */
  variants: { name: string; description: string; taken: boolean }[]
  /** component → version */
  versions: Record<string, string>
  /** absolute path of the rules */
  compatibility?: string
  collisions: Record<string, string>
  firstUse: 'allow' | 'refuse'
  /** locked against an upstream of a test: no site takes it for the real thing */
  testUpstream?: true
}

export interface SourceRemap {
  from: string
  to: string[]
}

export interface ImageRequest {
  at: string
  /** the name it is deployed under */
  reference: Reference
  /** where it is fetched from; equal to `reference` unless remapped */
  from: Reference
  platforms: Platform[]
  referrers: boolean
  foreignLayers: 'refuse' | 'fetch'
}

export interface ChartRequest {
  at: string
  name: string
  repo: string
  version: string
  /** hex */
  sha256?: string
}

export interface FileRequest {
  at: string
  url: string
  /** relative path under /files */
  path: string
  executable: boolean
  /** hex */
  sha256?: string
}

/** One suite of one signed archive. */
export interface DebSource {
  archive: string
  /** `bookworm`, `bookworm-updates`; of a flat repository the folder, with a slash at its end: `./` */
  suite: string
  /** empty where the repository is flat */
  components: string[]
  /** absolute paths of OpenPGP public keys */
  keys: string[]
  /** for the digest of inputs, which does not depend on where the manifest stands */
  keysAsWritten: string[]
  /** apt_preferences(5); undefined: what the Release file says (500; 100 or 1 where it is NotAutomatic) */
  priority?: number
}

/** apt_preferences(5): the priority of some packages, from some source or in some version. */
export interface DebPin {
  /** names, with `*` */
  packages: string[]
  /** with `*`, as apt's `Pin: version` */
  version?: string
  /** suite or codename, as apt's `Pin: release a=` or `n=` */
  suite?: string
  /** as apt's `Pin: release o=` */
  origin?: string
  priority: number
}

export interface InstalledPackage {
  name: string
  /** rpm: `[epoch:]version-release` */
  version: string
  architecture: string
}

/** What the machines have before anything is installed: left out of what is carried. */
export type BaseSystem =
  | { type: 'none' }
  /** what such an installation of the distribution's release brings, computed from its own metadata */
  | { type: 'named'; name: 'minimal' | 'server' | 'cloud' }
  /** exactly this: from a list of the manifest, or from machines that were looked at */
  | { type: 'list'; packages: InstalledPackage[] }

export interface DebRequest {
  at: string
  /** the OS release, and the folder under /debs: `ubuntu-22.04` */
  name: string
  sources: DebSource[]
  /** each is resolved on its own */
  architectures: string[]
  /** further architectures on the same machine (`dpkg --add-architecture`): for `pkg:i386` */
  foreignArchitectures: string[]
  /** sorted, without duplicates: `name[:architecture][=version | /suite]` */
  packages: string[]
  /** for each kernel of the machines that were looked at; `{kernel}` stands for `uname -r` */
  kernelPackages: string[]
  recommends: boolean
  pins: DebPin[]
  base: BaseSystem
}

/** A yum repository of the RHEL family. */
export interface RpmRepository {
  /** folder under /rpms/NAME */
  id: string
  baseurl: string
  /** absolute paths of OpenPGP public keys that sign packages, and repomd.xml */
  keys: string[]
  keysAsWritten: string[]
  /** whether the publisher signs repomd.xml; package headers are always checked */
  metadata: 'signed' | 'unsigned'
  /** dnf: smaller wins; 99 unless said */
  priority: number
  /** names or `name-evr.arch`, with `*` */
  excludepkgs: string[]
  /** dnf's module_hotfixes: its packages are never masked by a module */
  moduleHotfixes: boolean
  /** entitlement: absolute paths of PEM files of the build host; nothing of them is carried */
  client?: { certificate: string; key: string }
}

export interface RpmRequest {
  at: string
  /** the OS release, and the folder under /rpms: `el9` */
  name: string
  /** what modules ask for: `platform:el9` */
  platform: string
  repositories: RpmRepository[]
  architectures: string[]
  /** `name:stream[/profile]`; with a profile its packages are asked for, too */
  modules: string[]
  /** as dnf takes them: name, name-version-release, name.architecture, `@group`, a path */
  packages: string[]
  /** for each kernel of the machines that were looked at; `{kernel}` stands for `uname -r` */
  kernelPackages: string[]
  /** weak dependencies, too (dnf's install_weak_deps) */
  weak: boolean
  base: BaseSystem
}

/** One logical line of a requirements file. */
export interface RequirementLine {
  at: string
  /** continuations joined, comments gone: `ansible==8.5.0 ; python_version < "3.12" --hash=sha256:…` */
  text: string
}

export interface WheelRequest {
  at: string
  name: string
  /** PEP 503 or 691; a project is looked up in the first that has it */
  indexes: string[]
  requirements: RequirementLine[]
  constraints: RequirementLine[]
  /** `3.11` */
  pythons: string[]
  /** PEP 425 platform tags, the newest that the machines take: `manylinux_2_28_x86_64` implies all older ones */
  platforms: string[]
  /** projects whose source distribution may be carried where there is no wheel; `*` for all */
  sdists: string[]
  prereleases: boolean
}

export interface TreeRequest {
  at: string
  name: string
  /** as written, relative to the manifest's folder */
  from: string
  /** absolute */
  folder: string
  exclude: string[]
}

/** Releases of a helmfile: nothing of them is carried, they tell what has to be. */
export interface DeploymentRequest {
  at: string
  /** absolute */
  helmfile: string
  environments: string[]
  /** absolute paths of values files */
  values: string[]
}

export interface Excuse {
  at: string
  /** an image, fully spelled, or a URL */
  name: string
  reason: string
}
