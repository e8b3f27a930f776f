/**
 * kubespray's `kube_version` is `v1.31.9` up to 2.27 and `1.32.5` since 2.28, whose checks fail with the other form. Kubernetes itself
 * always writes `v1.32.5`.
 */

/** Returns the version as nodes report it: `v1.32.5`. */
export function nodeVersion(version: string): string {
  return version.replace(/^(?=\d)/, 'v')
}

/** Returns the version in the form of an example: of the deployment tree's own `kube_version`, which its kubespray understands. */
export function inFormOf(example: string | undefined, version: string): string {
  if (example === undefined) return version
  return /^v/.test(example) ? nodeVersion(version) : version.replace(/^v/, '')
}
