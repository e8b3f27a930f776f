import { compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { digestOf, hexOf } from '../core/digest.ts'
import { withoutTrailing } from '../core/trim.ts'
import type { Lock } from '../lock/schema.ts'
import { type BillOptions, billOf, bundleRef } from './bill.ts'
import type { Component } from './component.ts'

/**
 * Returns the bill of materials of a lock as SPDX 2.3 JSON (spdx.github.io/spdx-spec/v2.3), with the same content as `sbomOf`. It is
 * reproducible: the time of creation, which SPDX requires, is the one that the caller passes, by default the epoch. Throws LOCK_INVALID.
 */
export function spdxOf(
  lock: Lock,
  { created = new Date(0), ...options }: BillOptions & { created?: Date } = {},
): Record<string, unknown> {
  const { parts, uuid } = billOf(lock, options)
  const licences = new Licences()
  const root: SpdxPackage = {
    SPDXID: idOf(bundleRef(lock)),
    name: lock.name,
    versionInfo: lock.version,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    primaryPackagePurpose: 'ARCHIVE',
  }
  const packages = [root]
  const relationships: Relationship[] = [relation('SPDXRef-DOCUMENT', 'DESCRIBES', root.SPDXID)]
  const add = (component: Component, parent: string) => {
    const made = packageOf(component, licences)
    packages.push(made)
    relationships.push(relation(parent, 'CONTAINS', made.SPDXID))
    for (const inner of component.components ?? []) add(inner, made.SPDXID)
  }
  for (const { component, requiredBy = [] } of parts) {
    add(component, root.SPDXID)
    for (const ref of requiredBy)
      if (ref !== component['bom-ref'])
        relationships.push(relation(idOf(ref), 'DEPENDS_ON', idOf(component['bom-ref'])))
  }
  return defined({
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `${lock.name}-${lock.version}`,
    documentNamespace: `https://spdx.org/spdxdocs/${encodeURIComponent(`${lock.name}-${lock.version}`)}-${uuid}`,
    creationInfo: { created: created.toISOString().replace(/\.\d+Z$/, 'Z'), creators: ['Tool: airgap'] },
    packages,
    relationships,
    hasExtractedLicensingInfos: licences.extracted(),
  })
}

interface SpdxPackage {
  SPDXID: string
  name: string
  versionInfo?: string
  downloadLocation: 'NOASSERTION'
  filesAnalyzed: false
  licenseDeclared?: string
  supplier?: string
  checksums?: { algorithm: 'SHA256'; checksumValue: string }[]
  externalRefs?: { referenceCategory: 'PACKAGE-MANAGER'; referenceType: 'purl'; referenceLocator: string }[]
  primaryPackagePurpose?: string
  comment?: string
}

interface Relationship {
  spdxElementId: string
  relationshipType: 'DESCRIBES' | 'CONTAINS' | 'DEPENDS_ON'
  relatedSpdxElement: string
}

function relation(from: string, type: Relationship['relationshipType'], to: string): Relationship {
  return { spdxElementId: from, relationshipType: type, relatedSpdxElement: to }
}

const purposes: Record<Component['type'], string> = {
  container: 'CONTAINER',
  application: 'APPLICATION',
  library: 'LIBRARY',
  file: 'FILE',
  'operating-system': 'OPERATING_SYSTEM',
}

function packageOf(component: Component, licences: Licences): SpdxPackage {
  const { name, version, purl, supplier, hashes, type, properties } = component
  return defined({
    SPDXID: idOf(component['bom-ref']),
    name,
    versionInfo: version,
    downloadLocation: 'NOASSERTION' as const,
    filesAnalyzed: false as const,
    licenseDeclared: licences.expression(component.licenses),
    supplier: supplier && `Organization: ${supplier.name}`,
    checksums: hashes?.map(({ content }) => ({ algorithm: 'SHA256' as const, checksumValue: content })),
    externalRefs:
      purl === undefined
        ? undefined
        : [
            {
              referenceCategory: 'PACKAGE-MANAGER' as const,
              referenceType: 'purl' as const,
              referenceLocator: purl,
            },
          ],
    primaryPackagePurpose: purposes[type],
    comment: properties?.map(({ name: key, value }) => `${key}: ${value}`).join('\n'),
  })
}

/** Letters, digits, `.` and `-` (section 7.2): other characters become `-`, and a part of a digest keeps the identifiers distinct. */
function idOf(ref: string): string {
  return `SPDXRef-${ref.replace(/[^A-Za-z0-9.]+/g, '-').slice(0, 120)}-${hexOf(digestOf(ref)).slice(0, 12)}`
}

/** The licences of a document: a text that is not an SPDX expression has an identifier of the document's own (section 10). */
class Licences {
  readonly #texts = new Map<string, string>()

  expression(licenses: Component['licenses']): string | undefined {
    const parts = (licenses ?? []).map(one => {
      if ('expression' in one)
        return isExpression(one.expression) ? one.expression : this.#ownId(one.expression)
      return 'id' in one.license ? one.license.id : this.#textual(one.license.name)
    })
    if (parts.length <= 1) return parts[0]
    return parts.map(part => (part.includes(' ') ? `(${part})` : part)).join(' AND ')
  }

  extracted(): { licenseId: string; extractedText: string; name: string }[] | undefined {
    if (this.#texts.size === 0) return undefined
    return [...this.#texts]
      .map(([text, licenseId]) => ({ licenseId, extractedText: text, name: text }))
      .sort((a, b) => compareText(a.licenseId, b.licenseId))
  }

  #textual(name: string): string {
    return commonIds.has(name) ? name : this.#ownId(name)
  }

  #ownId(text: string): string {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    const plain = text.replace(/[^A-Za-z0-9.]+/g, '-').replace(/^-+/, '')
    const words = withoutTrailing(plain, '-').slice(0, 60)
    const id = `LicenseRef-${words === '' ? '' : `${words}-`}${hexOf(digestOf(text)).slice(0, 8)}`
    this.#texts.set(text, id)
    return id
  }
}

/** Names that publishers write and that are identifiers of the SPDX list. Others may look like one and mean something else. */
const commonIds = new Set(
  [
    '0BSD AFL-2.1 AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-1.0-Perl Artistic-2.0 BlueOak-1.0.0 BSD-2-Clause',
    'BSD-3-Clause BSD-4-Clause BSL-1.0 bzip2-1.0.6 CC0-1.0 CC-BY-3.0 CC-BY-4.0 CDDL-1.0 curl EPL-1.0 EPL-2.0 FTL GPL-1.0-only GPL-1.0-or-later',
    'GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later HPND ISC LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1-only LGPL-2.1-or-later',
    'LGPL-3.0-only LGPL-3.0-or-later libtiff MIT MIT-0 MPL-1.1 MPL-2.0 MS-PL NCSA OFL-1.1 OpenSSL PostgreSQL PSF-2.0 Python-2.0 Ruby Sleepycat',
    'Unicode-3.0 Unlicense UPL-1.0 Vim W3C WTFPL X11 Zlib ZPL-2.1',
  ].flatMap(line => line.split(' ')),
)

/** An expression of listed identifiers (annex D), as far as we know the list. */
function isExpression(text: string): boolean {
  if (text.length > 500) return false
  const words = text
    .replace(/[()]/g, ' $& ')
    .split(/\s+/)
    .filter(word => word !== '')
  let depth = 0
  let wantsTerm = true
  for (const word of words) {
    if (word === '(' || word === ')') {
      if ((word === '(') !== wantsTerm) return false
      depth += word === '(' ? 1 : -1
      if (depth < 0) return false
    } else if (word === 'AND' || word === 'OR') {
      if (wantsTerm) return false
      wantsTerm = true
    } else {
      if (!wantsTerm || !commonIds.has(word)) return false
      wantsTerm = false
    }
  }
  return depth === 0 && !wantsTerm
}
