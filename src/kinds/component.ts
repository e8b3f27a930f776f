/** A component of a bill of materials (CycloneDX 1.6). */
export interface Component {
  type: 'container' | 'application' | 'library' | 'file'
  /** unique in the bill of materials: `deb/debian-12/jq_1.6-2_amd64` */
  'bom-ref': string
  name: string
  version?: string
  hashes: [{ alg: 'SHA-256'; content: string }]
  /** package URL */
  purl?: string
}

/** `hex` is a SHA-256 digest. */
export function sha256Hash(hex: string): Component['hashes'] {
  return [{ alg: 'SHA-256', content: hex }]
}
