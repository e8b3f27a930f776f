import type { Artifact, PlannedBlob } from '../content/artifact.ts'
import { checkArtifactName } from '../content/artifact-names.ts'
import { inlineFile, type TreeFile, treeArtifacts } from '../content/tree.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { mediaTypes } from '../core/media-types.ts'
import { kinds } from '../kinds/index.ts'
import { formatLock } from '../lock/lock.ts'
import type { Lock, RuntimeFile } from '../lock/schema.ts'

/** Returns every artifact of the bundle of a lock. Pure: this function and the bundle's layout determine every byte. Throws LOCK_INVALID. */
export function assembleLock(lock: Lock): Artifact[] {
  checkKinds(lock)
  const artifacts = [
    ...kinds.flatMap(kind => kind.assemble(lock.items[kind.name] ?? [])),
    ...lockArtifacts(lock),
    ...runtimeArtifacts(lock.runtime),
  ]
  checkNames(artifacts)
  return artifacts
}

/** Without this check, items of an unknown kind would silently be missing on the site. */
function checkKinds(lock: Lock): void {
  const unknown = Object.keys(lock.items).find(name => !kinds.some(kind => kind.name === name))
  if (unknown === undefined) return
  throw new AirgapError('LOCK_INVALID', 'the lock contains items of a kind that this version does not know', {
    item: unknown.slice(0, 100),
    likely: 'a newer version of airgap wrote it, or it was edited',
    next: 'use the version of airgap that wrote it, or create it again with `airgap lock`',
  })
}

/** Without this check, a bundle with an invalid name would be built, and then refused by every reader. */
function checkNames(artifacts: readonly Artifact[]): void {
  try {
    for (const { root } of artifacts) checkArtifactName(root)
  } catch (error) {
    if (!isErrorCode(error, 'BUNDLE_CORRUPT')) throw error
    throw new AirgapError('LOCK_INVALID', 'the lock contains an item with an invalid name', {
      item: error.item ?? '',
      likely: 'it was edited by hand',
      next: 'run `airgap lock` again',
      cause: error,
    })
  }
}

/** The lock itself, so that a site can show what its bundle contains and why. */
function lockArtifacts(lock: Lock): Artifact[] {
  return treeArtifacts({
    name: 'lock',
    kind: 'bundle',
    files: [inlineFile('lock.json', Buffer.from(formatLock(lock)))],
  })
}

/** The program for the site, which is in the tar under its plain path, so that `tar xf` extracts it. */
function runtimeArtifacts(runtime: RuntimeFile[]): Artifact[] {
  const files = runtime.map<TreeFile>(file => ({
    path: file.path,
    mode: file.mode === 0o755 ? '100755' : '100644',
    descriptor: { mediaType: mediaTypes.octets, digest: file.digest, size: file.size },
    origin: { sources: [{ type: 'tool', name: file.path }] },
  }))
  const named = (blob: PlannedBlob) =>
    runtime.find(file => blob.sources.some(source => source.type === 'tool' && source.name === file.path))!
  return treeArtifacts({ name: 'offline-deploy', kind: 'runtime', files }).map(artifact => ({
    ...artifact,
    blobs: artifact.blobs.map(blob => {
      const { path, mode } = named(blob)
      return { ...blob, file: { path, mode } }
    }),
  }))
}
