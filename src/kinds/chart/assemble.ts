import type { Artifact, PlannedBlob } from '../../content/artifact.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import { digestOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { annotationKeys, mediaTypes } from '../../core/media-types.ts'
import type { LockedChart } from './locked.ts'

/** Charts are carried as the OCI artifacts that helm itself pushes (helm.sh/docs/topics/registries), whatever their source. */
export function assembleCharts(charts: LockedChart[]): Artifact[] {
  refuseTwoArchives(charts)
  return charts.map(chart => {
    const { origin } = chart
    return origin.type === 'oci' ? native(chart, origin) : made(chart, origin)
  })
}

/** The site's index.yaml names an archive by its Chart.yaml, which may spell a version in another way than the manifest. */
function refuseTwoArchives(charts: LockedChart[]): void {
  const archives = new Map<string, LockedChart>()
  for (const chart of charts) {
    const file = `${chart.metadata['name']}-${chart.metadata['version']}.tgz`
    const other = archives.get(file)
    if (other !== undefined && other.layers[0]?.digest !== chart.layers[0]?.digest) {
      throw new AirgapError('NAME_COLLISION', `two different charts are ${file}`, {
        item: `${other.name} and ${chart.name}`,
        likely: 'both entries name the same chart and version, in two repositories or in two spellings',
        next: 'keep one of them in the manifest',
      })
    }
    archives.set(file, chart)
  }
}

/** A tag must not contain `+`: helm writes `_` instead. */
export function chartTag(version: string): string {
  return version.replaceAll('+', '_')
}

/** helm publishes provenance beside the archive, under its name with `.prov` appended; a query stays in place. */
export function provenanceUrl(archive: string): string {
  const url = new URL(archive)
  url.pathname += '.prov'
  return url.href
}

function native(chart: LockedChart, origin: LockedChart['origin'] & { type: 'oci' }): Artifact {
  const source = (as: 'manifest' | 'blob') => [{ type: 'registry' as const, name: origin.repository, as }]
  const blobs: PlannedBlob[] = [
    { descriptor: origin.manifest, sources: source('manifest'), front: true },
    { descriptor: origin.config, sources: source('blob'), front: true },
    ...chart.layers.map(descriptor => ({ descriptor, sources: source('blob') })),
  ]
  const root = named(origin.manifest, `${origin.repository}:${chartTag(chart.version)}`)
  // the index of the site is made of the configs, or of this
  const annotations = { ...root.annotations, [annotationKeys.chartMetadata]: canonicalJson(chart.metadata) }
  return { root: chart.foreignConfig ? { ...root, annotations } : root, inline: [], blobs }
}

function made(chart: LockedChart, origin: LockedChart['origin'] & { type: 'http' }): Artifact {
  const configBytes = Buffer.from(canonicalJson(chart.metadata))
  const config = { mediaType: mediaTypes.helmConfig, digest: digestOf(configBytes), size: configBytes.length }
  const bytes = Buffer.from(
    canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: chart.layers }),
  )
  const manifest = { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length }
  return {
    root: named(manifest, `charts/${chart.chart}:${chartTag(chart.version)}`),
    inline: [
      { descriptor: manifest, bytes },
      { descriptor: config, bytes: configBytes },
    ],
    blobs: chart.layers.map(descriptor => ({
      descriptor,
      sources: [
        {
          type: 'url',
          url: descriptor.mediaType === mediaTypes.helmProvenance ? provenanceUrl(origin.url) : origin.url,
        },
      ],
    })),
  }
}

function named(descriptor: Artifact['root'], name: string): Artifact['root'] {
  return { ...descriptor, annotations: { [annotationKeys.refName]: name, [annotationKeys.kind]: 'chart' } }
}
