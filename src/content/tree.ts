import { z } from 'zod'
import { canonicalJson, compareText } from '../core/canonical-json.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import { safeRelativePath } from '../core/safe-path.ts'
import type { Artifact, InlineBlob, PlannedBlob, Source } from './artifact.ts'
import { readAll } from './read.ts'
import type { ReadableStore } from './store.ts'

/** git's modes; the content of a 120000 entry is the target of the link. */
export type TreeMode = '100644' | '100755' | '120000'

/** One file of a tree: its bytes come from sources, or are a function of the lock (`bytes`). */
export interface TreeFile {
  path: string
  mode: TreeMode
  descriptor: Descriptor
  origin: { sources: Source[] } | { bytes: Uint8Array }
}

const emptyConfig: InlineBlob = {
  descriptor: { mediaType: mediaTypes.ociEmpty, digest: digestOf('{}'), size: 2 },
  bytes: Buffer.from('{}'),
}

/** Layers a manifest: keeps it well under 4 MiB with paths of 150 bytes. */
const filesPerShard = 8_000

export function inlineFile(path: string, bytes: Uint8Array, mode: TreeMode = '100644'): TreeFile {
  const descriptor = { mediaType: mediaTypes.octets, digest: digestOf(bytes), size: bytes.length }
  return { path, mode, descriptor, origin: { bytes } }
}

/**
 * The tree shape of DESIGN.md: one manifest with one layer per file, title = path. Larger trees become shards, all with
 * the same ref.name stem (`files`, `files.2`, …), which `readTree` joins again.
 */
export function treeArtifacts(tree: { name: string; kind: string; files: TreeFile[] }): Artifact[] {
  const files = [...tree.files].sort((a, b) => compareText(a.path, b.path))
  files.forEach((file, i) => {
    safeRelativePath(file.path, 'MANIFEST_INVALID')
    if (i > 0 && files[i - 1]?.path === file.path) {
      throw new AirgapError('NAME_COLLISION', 'two files have the same path', {
        item: `${tree.name}/${file.path}`,
        next: 'give one of them another path',
      })
    }
  })
  const artifacts: Artifact[] = []
  for (let start = 0; start < Math.max(files.length, 1); start += filesPerShard) {
    const shard = start / filesPerShard
    artifacts.push(
      shardArtifact(
        tree,
        shard === 0 ? tree.name : `${tree.name}.${shard + 1}`,
        files.slice(start, start + filesPerShard),
      ),
    )
  }
  return artifacts
}

function shardArtifact(tree: { name: string; kind: string }, refName: string, files: TreeFile[]): Artifact {
  const layers = files.map(file => ({
    ...file.descriptor,
    annotations: {
      [annotationKeys.title]: file.path,
      ...(file.mode === '100644' ? {} : { [annotationKeys.mode]: file.mode }),
    },
  }))
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: mediaTypes.tree,
    config: emptyConfig.descriptor,
    // image-spec manifest.md: an artifact without content has the empty descriptor as its only layer
    layers: layers.length > 0 ? layers : [emptyConfig.descriptor],
  }
  const bytes = Buffer.from(canonicalJson(manifest))
  const descriptor = { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length }
  const inline: InlineBlob[] = [{ descriptor, bytes }, emptyConfig]
  const blobs: PlannedBlob[] = []
  for (const { descriptor, origin } of files) {
    if ('bytes' in origin) inline.push({ descriptor, bytes: origin.bytes })
    else blobs.push({ descriptor, sources: origin.sources })
  }
  return {
    root: {
      ...descriptor,
      artifactType: mediaTypes.tree,
      annotations: { [annotationKeys.refName]: refName, [annotationKeys.kind]: tree.kind },
    },
    inline,
    blobs,
  }
}

const layerSchema = z.object({
  mediaType: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.number().int().nonnegative(),
  annotations: z.record(z.string(), z.string()).optional(),
})
const treeManifestSchema = z.object({
  artifactType: z.literal(mediaTypes.tree),
  layers: z.array(layerSchema),
})

/** path → what is there */
export type TreeEntries = Map<string, { descriptor: Descriptor; mode: TreeMode }>

/** Reads the manifests (all shards) of one tree back into its table of paths. Throws BUNDLE_CORRUPT. */
export async function readTree(store: ReadableStore, roots: readonly Descriptor[]): Promise<TreeEntries> {
  const entries: TreeEntries = new Map()
  for (const root of roots) {
    const parsed = treeManifestSchema.safeParse(jsonOf(await readAll(store, root)))
    if (!parsed.success) {
      throw new AirgapError('BUNDLE_CORRUPT', 'not a tree manifest', {
        item: root.digest,
        cause: parsed.error,
      })
    }
    for (const layer of parsed.data.layers) {
      const title = layer.annotations?.[annotationKeys.title]
      if (title === undefined) continue
      const path = safeRelativePath(title)
      if (entries.has(path))
        throw new AirgapError('BUNDLE_CORRUPT', 'a path stands twice in a tree', { item: path })
      const mode = layer.annotations?.[annotationKeys.mode] ?? '100644'
      if (mode !== '100644' && mode !== '100755' && mode !== '120000') {
        throw new AirgapError('BUNDLE_CORRUPT', `unknown mode ${mode.slice(0, 20)} in a tree`, { item: path })
      }
      const descriptor = {
        mediaType: layer.mediaType,
        digest: layer.digest as Descriptor['digest'],
        size: layer.size,
      }
      entries.set(path, { descriptor, mode })
    }
  }
  return entries
}

/** undefined, which no schema takes, where the bytes are not JSON */
function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
