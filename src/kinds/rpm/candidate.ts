/** Repository metadata as far as resolving needs it. */

/** `name`, or `name OP evr`; also a file's path. */
export interface RpmRelation {
  name: string
  flags?: 'EQ' | 'LT' | 'LE' | 'GT' | 'GE'
  epoch?: string
  version?: string
  release?: string
}

/** One package of primary.xml, as far as resolving needs it. */
export interface RpmCandidate {
  name: string
  epoch: string
  version: string
  release: string
  architecture: string
  /** index into the request's repositories */
  repository: number
  /** primary's `location`: its `href` and `xml:base`, as written; untrusted (`location.ts`) */
  location: string
  base?: string
  /** bytes */
  size: number
  checksum: { type: string; hex: string }
  /** offsets of the signed header in the file, from `rpm:header-range` */
  headerRange: { start: number; end: number }
  provides: RpmRelation[]
  /** `name` may be a rich dependency: `(a if b)`; those of rpmlib(…) are left out */
  requires: RpmRelation[]
  conflicts: RpmRelation[]
  obsoletes: RpmRelation[]
  recommends: RpmRelation[]
  supplements: RpmRelation[]
  suggests: RpmRelation[]
  enhances: RpmRelation[]
  /** files listed in primary (/etc, bin, …); all others are only in filelists */
  files: string[]
  /** byte offsets of its element in the unpacked primary.xml */
  primary: { offset: number; length: number }
}

/** A stream of modules.yaml (document: modulemd, version 2). */
export interface ModuleStream {
  name: string
  stream: string
  /** larger is newer */
  version: string
  context: string
  architecture: string
  repository: number
  /** alternative sets of module → streams (`-x` excludes); all modules of a set must be satisfied */
  requires: Map<string, string[]>[]
  /** NEVRAs: `name-epoch:version-release.arch` */
  artifacts: string[]
  /** profile → package names */
  profiles: Map<string, string[]>
  /** the document verbatim, from `---` to before the next one */
  document: string
}

export interface ModuleDefaults {
  name: string
  stream?: string
  /** stream → profiles */
  profiles: Map<string, string[]>
  repository: number
  document: string
}

/** A group or an environment of comps.xml. */
export interface PackageGroup {
  id: string
  name: string
  kind: 'group' | 'environment'
  repository: number
  packages: { name: string; type: 'mandatory' | 'default' | 'optional' | 'conditional'; requires?: string }[]
  /** ids of the groups of an environment */
  groups: { mandatory: string[]; optional: string[] }
  /** the element verbatim */
  document: string
}
