import type { Platform } from '../core/platform.ts'
import type { SecretQueries } from '../core/secret-queries.ts'
import type { Excuse } from '../kinds/entry.ts'
import type { Requests } from '../kinds/index.ts'

/**
 * The manifest as the program uses it: lists read, names parsed, paths absolute, defaults filled in. Each kind's requests are
 * under the key of its entries: `images`, `charts`, … `at` is the `file:line:column` of an entry, for messages.
 */
export interface StackManifest extends Requests {
  /** absolute path of the manifest */
  file: string
  /** absolute path of its folder, the base of relative paths */
  folder: string
  name: string
  version: string
  platforms: Platform[]
  sources: SourceRemap[]
  /** credentials that were taken off the URLs: for the transport, never shown or stored */
  secretQueries: SecretQueries
  deployments: DeploymentRequest[]
  excuses: Excuse[]
  /** all variants of the manifest, sorted by name */
  variants: { name: string; description: string; included: boolean }[]
  /** component → version */
  versions: Record<string, string>
  /** absolute path of the compatibility rules */
  compatibility?: string
  /** name beside the program on site → absolute path */
  guides: Record<string, string>
  collisions: Record<string, string>
  firstUse: 'allow' | 'refuse'
  /** locked against a test upstream: no site accepts it as the publishers' content */
  testUpstream?: true
}

export interface SourceRemap {
  from: string
  to: string[]
}

/** Releases of a helmfile: not carried themselves, but rendered to find what must be carried. */
export interface DeploymentRequest {
  at: string
  /** absolute */
  helmfile: string
  environments: string[]
  /** absolute paths of values files */
  values: string[]
  /** further APIs of the cluster: `monitoring.coreos.com/v1` */
  apiVersions: string[]
}
