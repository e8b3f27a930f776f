/** Media types: OCI image-spec v1.1 media-types.md; Docker image manifest v2 schema 2; Helm OCI. */

export const mediaTypes = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerSchema1: 'application/vnd.docker.distribution.manifest.v1+json',
  dockerSchema1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
  helmConfig: 'application/vnd.cncf.helm.config.v1+json',
  helmChart: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
  /** before helm 3.7 */
  helmChartLegacy: 'application/tar+gzip',
  helmProvenance: 'application/vnd.cncf.helm.chart.provenance.v1.prov',
  octets: 'application/octet-stream',
  /** artifactType of a tree: one layer per file, title = path */
  tree: 'application/vnd.astrago.airgap.tree.v1',
  /** artifactType of a whole bundle in a registry: an index of its parts */
  bundle: 'application/vnd.astrago.airgap.bundle.v1',
  /** artifactType of a part: one layer per blob */
  bundlePart: 'application/vnd.astrago.airgap.bundle.part.v1',
  /** artifactType of the files next to a bundle, which refer to it: statement, signatures, provenance */
  bundleFiles: 'application/vnd.astrago.airgap.bundle.files.v1',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
} as const

export function isIndexType(mediaType: string): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerList
}

export function isManifestType(mediaType: string): boolean {
  return mediaType === mediaTypes.ociManifest || mediaType === mediaTypes.dockerManifest
}

export function isHelmArchiveType(mediaType: string): boolean {
  return mediaType === mediaTypes.helmChart || mediaType === mediaTypes.helmChartLegacy
}

/**
 * Returns the type of an index or manifest in its usual spelling, without parameters and in lower case (RFC 9110, 8.3.1); other
 * types as they are written.
 */
export function usualManifestType(mediaType: string): string {
  const usual = mediaType.split(';')[0]!.trim().toLowerCase()
  return isIndexType(usual) || isManifestType(usual) ? usual : mediaType
}

/** Returns whether registries may lack the bytes of such a layer (OCI "nondistributable", Docker "foreign"). */
export function isForeignLayerType(mediaType: string): boolean {
  return mediaType.includes('.nondistributable.') || mediaType.includes('.foreign.')
}

/** Annotation keys: OCI image-spec annotations.md, and our own. */
export const annotationKeys = {
  refName: 'org.opencontainers.image.ref.name',
  title: 'org.opencontainers.image.title',
  version: 'org.opencontainers.image.version',
  created: 'org.opencontainers.image.created',
  /** kind of an artifact in index.json: image, chart, file, deb, tree, bundle */
  kind: 'io.astrago.airgap.kind',
  /** Chart.yaml as JSON, of a chart whose config does not have it */
  chartMetadata: 'io.astrago.airgap.chart',
  /** name of the tree that a shard belongs to */
  tree: 'io.astrago.airgap.tree',
  /** `2/3`: the second of three shards */
  shard: 'io.astrago.airgap.shard',
  /** octal mode of a file in a tree, as git writes it: 100644, 100755, 120000 (the content is the target of a link) */
  mode: 'io.astrago.airgap.mode',
} as const
