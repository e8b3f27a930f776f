import { hexOf } from '../core/digest.ts'
import type { Lock } from '../lock/schema.ts'
import { type Component, sha256Hash } from './component.ts'
import { componentsOf } from './items.ts'

const typeOrder: readonly Component['type'][] = ['container', 'application', 'library', 'file']

/**
 * Returns the bill of materials of a lock as CycloneDX 1.6 JSON: what each kind carries, and the program itself. It is
 * reproducible: without a time stamp and a serial number. Throws LOCK_INVALID.
 */
export function sbomOf(lock: Lock): Record<string, unknown> {
  const components = [...componentsOf(lock), ...runtime(lock)]
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', name: lock.name, version: lock.version } },
    components: components.sort((a, b) => typeOrder.indexOf(a.type) - typeOrder.indexOf(b.type)),
  }
}

function runtime(lock: Lock): Component[] {
  return lock.runtime.map(({ path: name, digest }) => ({
    type: 'file',
    'bom-ref': `runtime/${name}`,
    name,
    hashes: sha256Hash(hexOf(digest)),
  }))
}
