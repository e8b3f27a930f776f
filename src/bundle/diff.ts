import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { artifactsOf, type BundleArtifact } from './artifacts.ts'
import { walkGraph } from './graph.ts'
import type { BundleStore } from './reader.ts'

interface ArtifactChange {
  kind: string
  name: string
  change: 'added' | 'removed' | 'changed'
  /** of its manifest; for a tree in shards, of the list of their digests */
  before?: Digest
  after?: Digest
  /** bytes of its content that the other bundle lacks */
  bytes: number
}

export interface BundleDiff {
  /** sorted by kind and name; empty if both have the same artifacts */
  changes: ArtifactChange[]
  /** bytes of all blobs: only in `b`, only in `a`, in both */
  addedBytes: number
  removedBytes: number
  sharedBytes: number
}

/** Returns what changes for a site that goes from bundle `a` to bundle `b`. Reads manifests only. Throws BUNDLE_CORRUPT. */
export async function diffBundles(a: BundleStore, b: BundleStore): Promise<BundleDiff> {
  const [before, after] = [byName(a), byName(b)]
  const changes: ArtifactChange[] = []
  for (const key of [...new Set([...before.keys(), ...after.keys()])].sort(compareText)) {
    const [old, now] = [before.get(key), after.get(key)]
    if (old && now && digestOfRoots(old) === digestOfRoots(now)) continue
    const [kind = '', name = ''] = key.split('\0')
    if (now === undefined) {
      changes.push({
        kind,
        name,
        change: 'removed',
        before: digestOfRoots(old!),
        bytes: await bytesOnlyIn(a, b, old!),
      })
    } else {
      const what =
        old === undefined
          ? ({ change: 'added' } as const)
          : ({ change: 'changed', before: digestOfRoots(old) } as const)
      changes.push({ kind, name, ...what, after: digestOfRoots(now), bytes: await bytesOnlyIn(b, a, now) })
    }
  }
  return { changes, ...totals(a, b) }
}

function byName(store: BundleStore): Map<string, BundleArtifact> {
  return new Map(artifactsOf(store.roots()).map(artifact => [`${artifact.kind}\0${artifact.name}`, artifact]))
}

function digestOfRoots({ roots: [first, ...others] }: BundleArtifact): Digest {
  if (others.length === 0) return first!.digest
  return digestOf(canonicalJson([first!, ...others].map(({ digest }) => digest)))
}

async function bytesOnlyIn(
  store: BundleStore,
  other: BundleStore,
  { roots }: BundleArtifact,
): Promise<number> {
  const { reached } = await walkGraph(store, roots)
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
