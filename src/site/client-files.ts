import { canonicalJson } from '../core/canonical-json.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import type { ClientFile } from '../kinds/client-file.ts'
import { hostsToml, type RegistryMirrors } from './registry-mirrors.ts'

export type { ClientFile } from '../kinds/client-file.ts'

/** Returns containerd's files. The other client files belong to the kinds: repositories, indexes, keys. */
export function containerdFiles(mirrors: readonly RegistryMirrors[]): ClientFile[] {
  return mirrors.map(each => ({
    kind: 'containerd-host',
    registry: each.registry,
    path: `etc/containerd/certs.d/${each.registry}/hosts.toml`,
    text: hostsToml(each),
  }))
}

/** Digest of all files: what a running server says it serves, compared with what it would serve now. */
export function clientFilesDigest(files: readonly ClientFile[]): Digest {
  return digestOf(canonicalJson(files.map(({ path, text }) => [path, text])))
}
