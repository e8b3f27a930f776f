import { join } from 'node:path'
import { LayoutStore } from '../content/layout-store.ts'
import { readTree } from '../content/tree.ts'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { mediaTypes } from '../core/media-types.ts'
import { safeRelativePath } from '../core/safe-path.ts'
import { artifactsOf, type BundleArtifact } from './artifacts.ts'
import { eachAtOnce } from './at-once.ts'
import { extractTree } from './extract-tree.ts'
import { walkGraph } from './graph.ts'
import type { BundleStore } from './reader.ts'

export interface ExtractOptions {
  /** which artifacts; default: all */
  select?: (artifact: BundleArtifact) => boolean
  /** `layout`: an OCI image layout of any artifacts; `files`: the files of trees in folders `TARGET/NAME/…` */
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

/**
 * Copies artifacts of a bundle into a folder. Every byte is verified, and a file gets its name only when it is complete.
 * Throws NOT_FOUND (nothing selected), USAGE (an image or chart as files), BUNDLE_CORRUPT, and what `extractTree` throws.
 */
export async function extractBundle(
  store: BundleStore,
  target: string,
  options: ExtractOptions,
): Promise<ExtractReport> {
  const artifacts = artifactsOf(store.roots()).filter(options.select ?? (() => true))
  if (artifacts.length === 0) {
    throw new AirgapError('NOT_FOUND', 'the bundle has no such artifact', {
      next: 'list the content of the bundle with `airgap inspect BUNDLE`',
    })
  }
  const work = defined({ target, signal: options.signal })
  const counts =
    options.as === 'layout' ? await toLayout(store, artifacts, work) : await toFiles(store, artifacts, work)
  return { target, artifacts: artifacts.length, ...counts }
}

type Work = { target: string; signal?: AbortSignal }
type Counts = { files: number; bytes: number }

async function toLayout(
  store: BundleStore,
  artifacts: readonly BundleArtifact[],
  work: Work,
): Promise<Counts> {
  const roots = inIndexOrder(store, artifacts)
  const { reached, faults } = await walkGraph(store, roots)
  if (faults[0] !== undefined) {
    throw new AirgapError('BUNDLE_CORRUPT', faults[0].what, {
      item: faults[0].item,
      likely: 'the bundle was damaged while it was copied',
      next: 'check it with `airgap verify BUNDLE`, then copy it again',
    })
  }
  const layout = await LayoutStore.open(work.target)
  const counts = { files: 0, bytes: 0 }
  const push = async (descriptor: Descriptor) => {
    await layout.push(descriptor, await store.open(descriptor))
    counts.files++
    counts.bytes += descriptor.size
  }
  await eachAtOnce(reached.values(), { signal: work.signal, work: push })
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: roots }
  await writeAtomically(join(work.target, 'index.json'), canonicalJson(index))
  return counts
}

function inIndexOrder(store: BundleStore, artifacts: readonly BundleArtifact[]): Descriptor[] {
  const selected = new Set(artifacts.flatMap(({ roots }) => roots))
  return store.roots().filter(root => selected.has(root))
}

async function toFiles(
  store: BundleStore,
  artifacts: readonly BundleArtifact[],
  work: Work,
): Promise<Counts> {
  const other = artifacts.find(({ isTree }) => !isTree)
  if (other !== undefined) {
    throw new AirgapError('USAGE', 'only trees of files can be extracted as files', {
      item: other.name,
      next: 'extract it as an OCI layout (--layout), or copy it with skopeo: oci-archive:BUNDLE:NAME',
    })
  }
  const counts = { files: 0, bytes: 0 }
  for (const { name, roots } of artifacts) {
    const entries = await readTree(store, roots)
    const folder = join(work.target, safeRelativePath(name))
    const done = await extractTree(store, entries, defined({ folder, signal: work.signal }))
    counts.files += done.files
    counts.bytes += done.bytes
  }
  return counts
}
