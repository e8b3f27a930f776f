import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import { describe, expect, it } from 'vitest'
import { sbomOf } from '../../src/kinds/sbom.ts'
import { billLock, insideApp } from './support/bill-lock.ts'

const folder = join(import.meta.dirname, 'fixtures/cyclonedx')
const schema = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'))

/** The official schema, which allows no unknown members; keywords and formats that Ajv does not know are an error, too. */
function validator() {
  const ajv = new Ajv({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true })
  formats.default(ajv)
  // annotations of the schema's authors, and formats of international addresses, which the bill does not use
  ajv.addKeyword('meta:enum')
  for (const name of ['iri-reference', 'idn-email']) ajv.addFormat(name, true)
  for (const name of ['spdx.schema.json', 'jsf-0.82.schema.json']) ajv.addSchema(schema(name))
  return ajv.compile(schema('bom-1.6.schema.json'))
}

describe('the bill of materials', () => {
  const bom = sbomOf(billLock)
  const components = bom['components'] as Record<string, unknown>[]
  const of = (ref: string) => components.find(one => one['bom-ref'] === ref)

  it('is valid CycloneDX 1.6 by the official schema', () => {
    const validate = validator()
    validate(bom)
    expect(validate.errors).toBeNull()
    expect(validate({ ...bom, surplus: 1 })).toBe(false)
    expect(validate(sbomOf({ ...billLock, runtime: [], items: {} }))).toBe(true)
  })

  it('with packages inside images is valid, too, and another document', () => {
    const validate = validator()
    const deep = sbomOf(billLock, { inside: insideApp })
    validate(deep)
    expect(validate.errors).toBeNull()
    expect(deep['serialNumber']).not.toBe(bom['serialNumber'])
    const [image] = deep['components'] as { components: Record<string, unknown>[]; properties: unknown }[]
    expect(image!.components).toMatchObject([
      { type: 'operating-system', name: 'debian', version: '12' },
      { purl: 'pkg:deb/debian/bash@5.2-1?arch=amd64&distro=debian-12' },
      { purl: 'pkg:deb/debian/libc6@1:2.36-9?arch=amd64&distro=debian-12&upstream=glibc%402.36-9' },
      {
        purl: 'pkg:npm/%40scope/lib@1.0.0',
        licenses: [{ license: { name: 'Some Licence' } }],
        evidence: { occurrences: [{ location: 'a/package.json' }, { location: 'b/package.json' }] },
      },
    ])
    expect(image!.properties).toEqual([
      { name: 'airgap:layers-read', value: 'linux/amd64' },
      { name: 'airgap:not-read', value: 'linux/amd64: app.jar: not a zip archive' },
    ])
  })

  it('has a serial number that follows from the lock', () => {
    expect(bom['serialNumber']).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    expect(sbomOf(structuredClone(billLock))).toEqual(bom)
    expect(sbomOf({ ...billLock, version: '1.0.1' })['serialNumber']).not.toBe(bom['serialNumber'])
  })

  it('names suppliers and licences as their publishers write them', () => {
    expect(of('image/nvcr.io/nvidia/app:1.0')).toMatchObject({ supplier: { name: 'nvcr.io' } })
    expect(of('chart/hello-1.0.0')).toMatchObject({
      supplier: { name: 'Jane Doe' },
      licenses: [{ license: { name: 'Apache-2.0' } }],
    })
    expect(of('deb/ubuntu-22.04/driver_1:1.6-2_amd64')).toMatchObject({
      supplier: { name: 'NVIDIA CORPORATION' },
    })
    expect(of('rpm/el9/kernel-1:5.14-1.el9.x86_64')).toMatchObject({
      supplier: { name: 'Rocky Enterprise Software Foundation' },
      licenses: [{ license: { name: 'GPLv2 & others' } }],
    })
    expect(of('rpm/el9/plain-1:5.14-1.el9.x86_64')).not.toHaveProperty('supplier')
    expect(of('wheel/app-1.0-py3-none-any.whl')).toMatchObject({
      supplier: { name: 'Jane Doe' },
      licenses: [{ expression: 'MIT OR Apache-2.0' }],
    })
    expect(of('wheel/lib-1.0-py3-none-any.whl')).toMatchObject({
      supplier: { name: 'The Lib Team' },
      licenses: [{ license: { name: 'BSD License' } }],
    })
    expect(of('wheel/old-1.0-py3-none-any.whl')).toMatchObject({ licenses: [{ license: { name: 'MIT' } }] })
  })

  it('has the namespace of the vendor in package URLs', () => {
    const purls = components.map(one => one['purl'])
    for (const purl of [
      'pkg:deb/nvidia/driver@1:1.6-2?arch=amd64&distro=ubuntu-22.04',
      'pkg:deb/ubuntu/jq@1:1.6-2?arch=amd64&distro=ubuntu-22.04',
      'pkg:rpm/rocky/kernel@5.14-1.el9?arch=x86_64&distro=el9&epoch=1',
      'pkg:rpm/a-b-inc/tool@5.14-1.el9?arch=x86_64&distro=el9&epoch=1',
      'pkg:rpm/el/plain@5.14-1.el9?arch=x86_64&distro=el9&epoch=1',
      'pkg:generic/node@24.1.0',
    ])
      expect(purls).toContain(purl)
  })

  it('has the version and licence of the runtime', () => {
    expect(of('runtime/offline-deploy/node')).toMatchObject({
      version: '24.1.0',
      licenses: [{ license: { id: 'MIT' } }],
    })
    expect(of('runtime/offline-deploy/offline-deploy.mjs')).not.toHaveProperty('version')
  })

  it('says what requires what', () => {
    const graph = new Map(
      (bom['dependencies'] as { ref: string; dependsOn?: string[] }[]).map(one => [one.ref, one.dependsOn]),
    )
    expect(graph.size).toBe(components.length + 1)
    expect(graph.get('bundle/sample@1.0.0')).toEqual([
      'chart/hello-1.0.0',
      'deb/ubuntu-22.04/driver_1:1.6-2_amd64',
      'image/nvcr.io/nvidia/app:1.0',
      'rpm/el9/kernel-1:5.14-1.el9.x86_64',
      'runtime/offline-deploy/node',
      'runtime/offline-deploy/offline-deploy.mjs',
      'wheel/app-1.0-py3-none-any.whl',
    ])
    expect(graph.get('deb/ubuntu-22.04/jq_1:1.6-2_amd64')).toEqual(['deb/ubuntu-22.04/libjq1_1:1.6-2_amd64'])
    expect(graph.get('wheel/lib-1.0-py3-none-any.whl')).toEqual(['wheel/old-1.0-py3-none-any.whl'])
    expect(graph.get('wheel/old-1.0-py3-none-any.whl')).toBeUndefined()
  })
})
