/** What the resolver knows of the packages of a repository: metadata.ts makes it, resolving uses it. */

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
  location: string
  /** bytes */
  size: number
  checksum: { type: string; hex: string }
  /** offsets of the header in the file, from `rpm:header-range`: what the signature is checked over */
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
  /** the files that primary lists (/etc, bin, …); the others stand in filelists */
  files: string[]
  /** where its fragments stand: byte offsets in the unpacked primary.xml */
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
  /** each alternative set: module → streams (`-x` excludes); all modules of one set must be met */
  requires: Map<string, string[]>[]
  /** NEVRAs: `name-epoch:version-release.arch` */
  artifacts: string[]
  /** profile → package names */
  profiles: Map<string, string[]>
  /** the document word for word, from `---` to before the next one */
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
  /** the element word for word */
  document: string
}

/** A repository, from metadata whose signature was checked: `loadRepository(repository, {…}, context)`. */
export interface LoadedRepository {
  packages: RpmCandidate[]
  modules: ModuleStream[]
  defaults: ModuleDefaults[]
  groups: PackageGroup[]
  /** public keys of its publisher, armored */
  keys: string[]
  /** which packages have these files, of all that filelists say */
  ownersOf(paths: ReadonlySet<string>): Promise<Map<string, RpmCandidate[]>>
  /** `<package …>…</package>` of primary.xml and of filelists.xml, word for word */
  fragments(
    candidates: readonly RpmCandidate[],
  ): Promise<Map<RpmCandidate, { primary: string; filelists: string }>>
}
