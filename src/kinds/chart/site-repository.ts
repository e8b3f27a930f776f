import { z } from 'zod'
import { readAll } from '../../content/read.ts'
import type { ReadableStore } from '../../content/store.ts'
import { parseManifest } from '../../content/successors.ts'
import type { TreeEntries } from '../../content/tree.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import { defined } from '../../core/defined.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { hexOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { annotationKeys, isHelmArchiveType, mediaTypes } from '../../core/media-types.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import type { ListedItem } from '../mount.ts'

/** Chart.yaml as the OCI config of a chart has it (helm.sh/docs/topics/registries); everything else passes through. */
const metadataSchema = z.looseObject({
  name: z
    .string()
    .regex(/^[a-zA-Z0-9._-]+$/)
    .max(250),
  version: z.string().min(1).max(250),
})

/** A classic chart repository made from the charts of the bundle: `index.yaml` and the archives it names. */
export interface ChartRepository {
  /** archive (and provenance) file → content */
  entries: TreeEntries
  /** JSON, which is YAML too; helm reads it faster */
  index: Buffer
  charts: ListedItem[]
}

/** Reads manifest and config of each chart. Throws BUNDLE_CORRUPT. */
export async function chartRepository(
  store: ReadableStore,
  options: { roots: readonly Descriptor[]; generated: Date },
): Promise<ChartRepository> {
  const generated = options.generated.toISOString()
  const files: TreeEntries = new Map()
  const charts: Record<string, unknown[]> = Object.create(null)
  const listed: ListedItem[] = []
  for (const root of options.roots) {
    const item = root.digest
    const bytes = await readAll(store, root)
    const manifest = parseManifest(bytes, { mediaType: root.mediaType, item, code: 'BUNDLE_CORRUPT' })
    const archive =
      manifest.type === 'manifest'
        ? manifest.layers.find(layer => isHelmArchiveType(layer.mediaType))
        : undefined
    if (manifest.type !== 'manifest' || archive === undefined)
      throw corrupt('a chart without an archive', item)
    const written = root.annotations?.[annotationKeys.chartMetadata]
    const metadata = parseMetadata(
      written === undefined ? await readAll(store, manifest.config) : Buffer.from(written),
      item,
    )
    const file = safeRelativePath(`${metadata.name}-${metadata.version}.tgz`)
    if (file.includes('/')) throw corrupt('a chart version with a slash', item)
    const known = files.get(file)
    // the same chart by two upstream names is listed once
    if (known?.descriptor.digest === archive.digest) continue
    if (known !== undefined) throw corrupt(`two charts are ${file}`, item)
    files.set(file, { descriptor: archive, mode: '100644' })
    const provenance = manifest.layers.find(layer => layer.mediaType === mediaTypes.helmProvenance)
    if (provenance !== undefined) files.set(`${file}.prov`, { descriptor: provenance, mode: '100644' })
    listed.push(
      defined({
        name: metadata.name,
        version: metadata.version,
        size: archive.size,
        digest: archive.digest,
        path: `/charts/${file}`,
        about: typeof metadata['description'] === 'string' ? metadata['description'] : undefined,
      }),
    )
    charts[metadata.name] ??= []
    charts[metadata.name]?.push({
      ...metadata,
      created: generated,
      digest: hexOf(archive.digest),
      urls: [encodeURIComponent(file)],
    })
  }
  const index = canonicalJson({ apiVersion: 'v1', entries: charts, generated }, 2)
  return { entries: files, index: Buffer.from(`${index}\n`), charts: listed }
}

function parseMetadata(bytes: Buffer, item: string): z.infer<typeof metadataSchema> {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw corrupt('the config of a chart is not JSON', item, error)
  }
  const parsed = metadataSchema.safeParse(value)
  if (!parsed.success) throw corrupt('the config of a chart has no name and version', item, parsed.error)
  return parsed.data
}

function corrupt(what: string, item: string, cause?: unknown): AirgapError {
  return new AirgapError('BUNDLE_CORRUPT', what, {
    item,
    likely: 'the chart was not packaged by helm',
    next: 'ask the person who built the bundle to lock and build it again',
    cause,
  })
}
