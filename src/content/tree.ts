import { z } from 'zod'
import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import { safeRelativePath } from '../core/safe-path.ts'
import type { Artifact, InlineBlob, PlannedBlob, Source } from './artifact.ts'
import { readAll } from './read.ts'
import type { ReadableStore } from './store.ts'

/** Modes as git writes them; the content of a 120000 file is the target of a symbolic link. */
export type TreeMode = '100644' | '100755' | '120000'

/** A file of a tree. Its bytes are fetched from `sources`, or are known from the lock (`bytes`). */
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

/** Limits of one tree manifest; a larger tree is split into shards. */
export interface ShardLimits {
  files: number
  /** of the manifest, without its few fields besides the layers */
  bytes: number
}

/** A manifest that a registry or a reader accepts has at most 4 MiB (distribution-spec, "Pushing manifests"). */
const defaultLimits: ShardLimits = { files: 8_000, bytes: 3.5 * 2 ** 20 }

export function inlineFile(path: string, bytes: Uint8Array, mode: TreeMode = '100644'): TreeFile {
  const descriptor = { mediaType: mediaTypes.octets, digest: digestOf(bytes), size: bytes.length }
  return { path, mode, descriptor, origin: { bytes } }
}

/**
 * Returns the artifact of a tree: one manifest with one layer per file, whose title is the file's path. A tree above the
 * limits becomes several such artifacts, its shards; annotations in index.json say which tree a shard belongs to, since its
 * name could be that of another tree (`rpms/rocky-9.2`). Throws MANIFEST_INVALID (a path), NAME_COLLISION (a path twice).
 */
export function treeArtifacts(
  tree: { name: string; kind: string; files: TreeFile[] },
  limits: ShardLimits = defaultLimits,
): Artifact[] {
  const files = [...tree.files].sort((a, b) => compareText(a.path, b.path))
  files.forEach((file, i) => {
    safeRelativePath(file.path, 'MANIFEST_INVALID')
    if (i > 0 && files[i - 1]?.path === file.path) {
      throw new AirgapError('NAME_COLLISION', 'two files have the same path', {
        item: `${tree.name}/${file.path}`,
        next: 'rename or remove one of them',
      })
    }
  })
  const parts = splitByLimits(files, limits)
  return parts.map((part, i) =>
    treeArtifact(part, {
      [annotationKeys.kind]: tree.kind,
      ...(parts.length === 1
        ? { [annotationKeys.refName]: tree.name }
        : {
            // `+` is in no name of a tree: the name is unique, and a tool that does not know shards finds no half of a tree
            [annotationKeys.refName]: `${tree.name}+${i + 1}`,
            [annotationKeys.tree]: tree.name,
            [annotationKeys.shard]: `${i + 1}/${parts.length}`,
          }),
    }),
  )
}

function splitByLimits(files: readonly TreeFile[], limits: ShardLimits): TreeFile[][] {
  const parts: TreeFile[][] = [[]]
  let bytes = 0
  for (const file of files) {
    const size = Buffer.byteLength(canonicalJson(layerOf(file))) + 1
    const part = parts.at(-1)!
    if (part.length > 0 && (part.length >= limits.files || bytes + size > limits.bytes)) {
      parts.push([file])
      bytes = size
    } else {
      part.push(file)
      bytes += size
    }
  }
  return parts
}

function layerOf({ descriptor, path, mode }: TreeFile): Descriptor {
  const annotations = defined({
    [annotationKeys.title]: path,
    [annotationKeys.mode]: mode === '100644' ? undefined : mode,
  })
  return { ...descriptor, annotations }
}

function treeArtifact(files: readonly TreeFile[], annotations: Record<string, string>): Artifact {
  const layers = files.map(layerOf)
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
  return { root: { ...descriptor, artifactType: mediaTypes.tree, annotations }, inline, blobs }
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

export interface TreeEntry {
  descriptor: Descriptor
  mode: TreeMode
}

/** The files of a tree by path. */
export type TreeEntries = Map<string, TreeEntry>

/** Reads the table of paths of one tree from the manifests of its shards. Throws BUNDLE_CORRUPT. */
export async function readTree(store: ReadableStore, roots: readonly Descriptor[]): Promise<TreeEntries> {
  const entries: TreeEntries = new Map()
  for (const root of roots) {
    const parsed = treeManifestSchema.safeParse(jsonOf(await readAll(store, root)))
    if (!parsed.success) {
      throw new AirgapError('BUNDLE_CORRUPT', 'the manifest of a tree is invalid', {
        item: root.digest,
        cause: parsed.error,
      })
    }
    for (const layer of parsed.data.layers) {
      const title = layer.annotations?.[annotationKeys.title]
      if (title === undefined) continue
      const path = safeRelativePath(title)
      if (entries.has(path))
        throw new AirgapError('BUNDLE_CORRUPT', 'a tree lists a path twice', { item: path })
      const mode = layer.annotations?.[annotationKeys.mode] ?? '100644'
      if (mode !== '100644' && mode !== '100755' && mode !== '120000') {
        throw new AirgapError(
          'BUNDLE_CORRUPT',
          `a tree has a file of unknown mode ${JSON.stringify(mode.slice(0, 20))}`,
          { item: path },
        )
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

/** Returns undefined, which no schema accepts, if the bytes are not JSON. */
function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
