import { withoutTrailing } from '../core/trim.ts'
/** A component of a bill of materials (CycloneDX 1.6). */
export interface Component {
  type: 'container' | 'application' | 'library' | 'file' | 'operating-system'
  /** unique in the bill of materials: `deb/debian-12/jq_1.6-2_amd64` */
  'bom-ref': string
  name: string
  version?: string
  /** absent for a part of other content */
  hashes?: [{ alg: 'SHA-256'; content: string }]
  /** package URL */
  purl?: string
  /** who publishes it, as far as the lock knows */
  supplier?: { name: string }
  /** as its publisher writes them */
  licenses?: License[] | [{ expression: string }]
  /** what is inside it */
  components?: Component[]
  /** our own: `airgap:platform` */
  properties?: { name: string; value: string }[]
  /** paths inside the container of it that show that it has this part */
  evidence?: { occurrences: { location: string }[] }
}

/** `id` of SPDX, or free text. */
type License = { license: { id: string } | { name: string } }

const maxText = 200

/** Returns nothing for text that is empty or no name: metadata may carry a whole licence in this field. */
export function namedSupplier(name: string | undefined): Pick<Component, 'supplier'> {
  const text = name?.trim()
  return isShort(text) ? { supplier: { name: text } } : {}
}

/** The same for the name of a licence. */
export function namedLicense(name: string | undefined): Pick<Component, 'licenses'> {
  const text = name?.trim()
  return isShort(text) ? { licenses: [{ license: { name: text } }] } : {}
}

function isShort(text: string | undefined): text is string {
  return text !== undefined && text !== '' && text.length <= maxText && !/[\n\r]/.test(text)
}

/** The namespace of a package URL of a vendor: `Rocky Enterprise Software Foundation` → `rocky-enterprise-software-foundation`. */
export function vendorNamespace(vendor: string): string {
  const words = vendor
    .slice(0, maxText)
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, '-')
  return withoutTrailing(words.replace(/^[-.]+/, ''), '-.')
}

/** `hex` is a SHA-256 digest. */
export function sha256Hash(hex: string): NonNullable<Component['hashes']> {
  return [{ alg: 'SHA-256', content: hex }]
}
