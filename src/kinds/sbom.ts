import { compareText } from '../core/canonical-json.ts'
import type { Lock } from '../lock/schema.ts'
import { type BillOptions, billOf, bundleRef, type Part } from './bill.ts'
import type { Component } from './component.ts'

const typeOrder: readonly Component['type'][] = ['container', 'application', 'library', 'file']

/**
 * Returns the bill of materials of a lock as CycloneDX 1.6 JSON: what each kind carries, and the program itself, each with its supplier and
 * licences as far as the lock knows them, and what requires what. It is reproducible: without a time stamp, and with a serial number that
 * follows from the lock and from what was read of the layers. Throws LOCK_INVALID.
 */
export function sbomOf(lock: Lock, options: BillOptions = {}): Record<string, unknown> {
  const { parts, uuid } = billOf(lock, options)
  const components = parts.map(one => one.component)
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuid}`,
    version: 1,
    metadata: {
      component: { type: 'application', 'bom-ref': bundleRef(lock), name: lock.name, version: lock.version },
    },
    components: components.sort((a, b) => typeOrder.indexOf(a.type) - typeOrder.indexOf(b.type)),
    dependencies: dependencies(bundleRef(lock), parts),
  }
}

/** Every component once, each with what it requires (CycloneDX, "dependencies"). */
function dependencies(root: string, parts: readonly Part[]): { ref: string; dependsOn?: string[] }[] {
  const required = new Map<string, Set<string>>([[root, new Set()]])
  for (const { component } of parts) required.set(component['bom-ref'], new Set())
  for (const { component, requiredBy = [root] } of parts)
    for (const ref of requiredBy)
      if (ref !== component['bom-ref']) required.get(ref)?.add(component['bom-ref'])
  return [...required].map(([ref, of]) => ({
    ref,
    ...(of.size > 0 ? { dependsOn: [...of].sort(compareText) } : {}),
  }))
}
