import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { spdxOf } from '../../src/kinds/spdx.ts'
import { billLock, insideApp } from './support/bill-lock.ts'

/** The official schema; keywords that Ajv does not know are an error, too. */
function validator() {
  const path = join(import.meta.dirname, 'fixtures/spdx/spdx-2.3.schema.json')
  return new Ajv({ strict: true, allErrors: true }).compile(JSON.parse(readFileSync(path, 'utf8')))
}

interface Package {
  SPDXID: string
  name: string
  licenseDeclared?: string
  externalRefs?: { referenceLocator: string }[]
}

interface Document {
  packages: Package[]
  relationships: { spdxElementId: string; relationshipType: string; relatedSpdxElement: string }[]
  hasExtractedLicensingInfos: { licenseId: string; extractedText: string }[]
  documentNamespace: string
  creationInfo: { created: string }
}

describe('the SPDX document', () => {
  const document = spdxOf(billLock, { inside: insideApp }) as unknown as Document
  const named = (name: string) => document.packages.find(one => one.name === name)

  it('is valid SPDX 2.3 by the official schema', () => {
    const validate = validator()
    validate(document)
    expect(validate.errors).toBeNull()
    expect(validate(spdxOf({ ...billLock, runtime: [], items: {} }))).toBe(true)
    expect(validate({ ...document, surplus: 1 })).toBe(false)
  })

  it('has identifiers of allowed characters, each once, and relationships between them only', () => {
    const ids = document.packages.map(one => one.SPDXID)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids) expect(id).toMatch(/^SPDXRef-[A-Za-z0-9.-]+$/)
    for (const { spdxElementId, relatedSpdxElement } of document.relationships) {
      expect([...ids, 'SPDXRef-DOCUMENT']).toContain(spdxElementId)
      expect(ids).toContain(relatedSpdxElement)
    }
  })

  it('says what the image contains, and what requires what', () => {
    const relation = (from: string, type: string, to: string) => ({
      spdxElementId: named(from)!.SPDXID,
      relationshipType: type,
      relatedSpdxElement: named(to)!.SPDXID,
    })
    expect(document.relationships).toContainEqual(relation('nvcr.io/nvidia/app', 'CONTAINS', 'libc6'))
    expect(document.relationships).toContainEqual(relation('driver', 'DEPENDS_ON', 'jq'))
    expect(named('bash')!.externalRefs![0]!.referenceLocator).toBe(
      'pkg:deb/debian/bash@5.2-1?arch=amd64&distro=debian-12',
    )
  })

  it('keeps expressions of listed licences, and gives other texts an identifier of its own', () => {
    expect(named('app')!.licenseDeclared).toBe('MIT OR Apache-2.0')
    expect(named('old')!.licenseDeclared).toBe('MIT')
    const free = named('kernel')!.licenseDeclared!
    expect(free).toMatch(/^LicenseRef-GPLv2-others-[0-9a-f]{8}$/)
    expect(document.hasExtractedLicensingInfos).toContainEqual({
      licenseId: free,
      name: 'GPLv2 & others',
      extractedText: 'GPLv2 & others',
    })
  })

  it('is reproducible: its time is that of the caller', () => {
    expect(spdxOf(structuredClone(billLock), { inside: insideApp })).toEqual(document)
    expect(document.creationInfo.created).toBe('1970-01-01T00:00:00Z')
    const created = new Date('2026-01-02T03:04:05.678Z')
    expect(spdxOf(billLock, { created })).toMatchObject({ creationInfo: { created: '2026-01-02T03:04:05Z' } })
  })
})
