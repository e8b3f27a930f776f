/** A closure of packages, as far as the reason for each goes. */
export interface PackageSet {
  /** for people: `debs/debian-12`, `pypi (tools)` */
  title: string
  /** tree of the bundle that the packages are in: `debs/debian-12`, `pypi` */
  tree: string
  packages: readonly PackageReason[]
  /** everything that the lock records about the set, except its packages: repositories, keys, streams */
  locked: unknown
}

export interface PackageReason {
  name: string
  /** `jq 1.6-2 amd64` */
  title: string
  /** where it comes from */
  source: string
  /** name of the package that pulled it in; undefined where the manifest requests it */
  because: string | undefined
}
