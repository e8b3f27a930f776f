import type { Artifact } from '../content/artifact.ts'
import { inlineFile, type TreeFile, treeArtifacts } from '../content/tree.ts'
import { mediaTypes } from '../core/media-types.ts'
import { kinds } from '../kinds/index.ts'
import { formatLock } from '../lock/lock.ts'
import type { Lock, RuntimeFile } from '../lock/schema.ts'

/** Lock → every artifact of the bundle. Pure: this function and the bundle's layout decide every byte. */
export function assembleLock(lock: Lock): Artifact[] {
  return [
    ...kinds.flatMap(kind => kind.assemble(lock.items[kind.name] ?? [])),
    ...lockArtifacts(lock),
    ...runtimeArtifacts(lock.runtime),
  ]
}

/** The lock itself, so that a site can say what it holds and why. */
function lockArtifacts(lock: Lock): Artifact[] {
  return treeArtifacts({
    name: 'lock',
    kind: 'bundle',
    files: [inlineFile('lock.json', Buffer.from(formatLock(lock)))],
  })
}

/** What a closed site needs to start stands in the tar under its own name. */
function runtimeArtifacts(runtime: RuntimeFile[]): Artifact[] {
  const files = runtime.map<TreeFile>(file => ({
    path: file.path,
    mode: file.mode === 0o755 ? '100755' : '100644',
    descriptor: { mediaType: mediaTypes.octets, digest: file.digest, size: file.size },
    origin: { sources: [{ type: 'tool', name: file.path }] },
  }))
  return treeArtifacts({ name: 'offline-deploy', kind: 'runtime', files }).map(artifact => ({
    ...artifact,
    blobs: artifact.blobs.map(blob => {
      const file = runtime.find(candidate => candidate.digest === blob.descriptor.digest)!
      return { ...blob, file: { path: file.path, mode: file.mode } }
    }),
  }))
}
