import { compareText } from '../core/canonical-json.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { annotationKeys } from '../core/media-types.ts'
import { walkGraph } from './graph.ts'
import type { BundleStore } from './reader.ts'

interface ArtifactChange {
  kind: string
  name: string
  change: 'added' | 'removed' | 'changed'
  before?: Digest
  after?: Digest
  /** bytes of its content that the other bundle does not hold: what it adds, or what went with it */
  bytes: number
}

export interface BundleDiff {
  /** sorted by kind and name; empty where both hold the same artifacts */
  changes: ArtifactChange[]
  /** content of all blobs that only `b` has, only `a` has, both have: bytes */
  addedBytes: number
  removedBytes: number
  sharedBytes: number
}

/** What changes for a site that goes from bundle `a` to bundle `b`. Reads manifests only. */
export async function diffBundles(a: BundleStore, b: BundleStore): Promise<BundleDiff> {
  const [before, after] = [byName(a), byName(b)]
  const changes: ArtifactChange[] = []
  for (const key of [...new Set([...before.keys(), ...after.keys()])].sort(compareText)) {
    const [old, now] = [before.get(key), after.get(key)]
    if (old?.digest === now?.digest) continue
    const [kind = '', name = ''] = key.split('\0')
    if (now === undefined) {
      changes.push({
        kind,
        name,
        change: 'removed',
        before: old!.digest,
        bytes: await bytesOnlyIn(a, b, old!),
      })
    } else {
      const what =
        old === undefined
          ? ({ change: 'added' } as const)
          : ({ change: 'changed', before: old.digest } as const)
      changes.push({ kind, name, ...what, after: now.digest, bytes: await bytesOnlyIn(b, a, now) })
    }
  }
  return { changes, ...totals(a, b) }
}

function byName(store: BundleStore): Map<string, Descriptor> {
  const key = (root: Descriptor) =>
    `${root.annotations?.[annotationKeys.kind] ?? ''}\0${root.annotations?.[annotationKeys.refName] ?? root.digest}`
  return new Map(store.roots().map(root => [key(root), root]))
}

async function bytesOnlyIn(store: BundleStore, other: BundleStore, root: Descriptor): Promise<number> {
  const { reached } = await walkGraph(store, [root])
  let bytes = 0
  for (const descriptor of reached.values()) if (!(await other.exists(descriptor))) bytes += descriptor.size
  return bytes
}

function totals(a: BundleStore, b: BundleStore): Omit<BundleDiff, 'changes'> {
  const sizes = (store: BundleStore) =>
    new Map(
      store
        .entries()
        .flatMap(({ type, digest, size }) => (type === 'file' && digest ? [[digest, size]] : [])),
    )
  const [before, after] = [sizes(a), sizes(b)]
  const sum = (from: Map<Digest, number>, keep: (digest: Digest) => boolean) =>
    [...from].reduce((total, [digest, size]) => total + (keep(digest) ? size : 0), 0)
  return {
    addedBytes: sum(after, digest => !before.has(digest)),
    removedBytes: sum(before, digest => !after.has(digest)),
    sharedBytes: sum(after, digest => before.has(digest)),
  }
}
