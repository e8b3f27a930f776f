import { join } from 'node:path'
import { LayoutStore, writeAtomically } from '../content/layout-store.ts'
import { readTree } from '../content/tree.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import { safeRelativePath } from '../core/safe-path.ts'
import { extractTree } from './extract-tree.ts'
import { walkGraph } from './graph.ts'
import type { BundleStore } from './reader.ts'

export interface ExtractOptions {
  /** which artifacts; all of them where it is left out */
  select?: (root: Descriptor) => boolean
  /** an OCI image layout of any artifacts, or the files of trees as folders `TARGET/NAME/…` */
  as: 'layout' | 'files'
  signal?: AbortSignal
}

export interface ExtractReport {
  target: string
  artifacts: number
  /** blobs of a layout, files of trees */
  files: number
  bytes: number
}

/** Takes artifacts out of a bundle into a folder. Every byte is verified; each file appears under its name complete. */
export async function extractBundle(
  store: BundleStore,
  target: string,
  options: ExtractOptions,
): Promise<ExtractReport> {
  const roots = store.roots().filter(options.select ?? (() => true))
  if (roots.length === 0) {
    throw new AirgapError('NOT_FOUND', 'nothing in the bundle fits', {
      next: 'look with `airgap inspect` what the bundle holds',
    })
  }
  const counts =
    options.as === 'layout'
      ? await toLayout(store, roots, { target, ...options })
      : await toFiles(store, roots, { target, ...options })
  return { target, artifacts: roots.length, ...counts }
}

type Work = { target: string; signal?: AbortSignal }
type Counts = { files: number; bytes: number }

async function toLayout(store: BundleStore, roots: Descriptor[], work: Work): Promise<Counts> {
  const { reached, faults } = await walkGraph(store, roots)
  if (faults[0] !== undefined) {
    throw new AirgapError('BUNDLE_CORRUPT', faults[0].what, {
      item: faults[0].item,
      likely: 'the bundle was damaged while it was copied',
      next: 'run verify on the bundle and copy it again',
    })
  }
  const layout = await LayoutStore.open(work.target)
  const counts = { files: 0, bytes: 0 }
  for (const descriptor of reached.values()) {
    work.signal?.throwIfAborted()
    await layout.push(descriptor, await store.open(descriptor))
    counts.files++
    counts.bytes += descriptor.size
  }
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: roots }
  await writeAtomically(join(work.target, 'index.json'), canonicalJson(index))
  return counts
}

async function toFiles(store: BundleStore, roots: Descriptor[], work: Work): Promise<Counts> {
  const counts = { files: 0, bytes: 0 }
  for (const [name, shards] of treesOf(roots)) {
    const entries = await readTree(store, shards)
    const folder = join(work.target, safeRelativePath(name))
    const done = await extractTree(store, entries, {
      folder,
      ...(work.signal === undefined ? {} : { signal: work.signal }),
    })
    counts.files += done.files
    counts.bytes += done.bytes
  }
  return counts
}

/** Name → all shards (`files`, `files.2`, …) of one tree. */
function treesOf(roots: Descriptor[]): Map<string, Descriptor[]> {
  const names = new Map<string, Descriptor>()
  for (const root of roots) {
    const name = root.annotations?.[annotationKeys.refName] ?? ''
    if (root.artifactType !== mediaTypes.tree) {
      throw new AirgapError('USAGE', 'this is no tree of files', {
        item: name,
        next: 'extract it as an OCI layout, or copy it out with skopeo: oci-archive:BUNDLE:NAME',
      })
    }
    names.set(name, root)
  }
  const trees = new Map<string, Descriptor[]>()
  for (const [name, root] of names) {
    const stem = name.replace(/\.[0-9]+$/, '')
    const tree = names.has(stem) ? stem : name
    trees.set(tree, [...(trees.get(tree) ?? []), root])
  }
  return trees
}
