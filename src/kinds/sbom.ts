import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { digestOf, hexOf } from '../core/digest.ts'
import { packageUrl } from '../core/package-url.ts'
import type { Lock, RuntimeFile } from '../lock/schema.ts'
import { type Component, sha256Hash } from './component.ts'
import { kinds } from './index.ts'

const typeOrder: readonly Component['type'][] = ['container', 'application', 'library', 'file']

/**
 * Returns the bill of materials of a lock as CycloneDX 1.6 JSON: what each kind carries, and the program itself, each with its supplier and
 * licences as far as the lock knows them, and what requires what. It is reproducible: without a time stamp, and with a serial number that
 * follows from the lock. Throws LOCK_INVALID.
 */
export function sbomOf(lock: Lock): Record<string, unknown> {
  const root = `bundle/${lock.name}@${lock.version}`
  const parts = [...carried(lock), ...lock.runtime.map(file => ({ component: runtimeComponent(file) }))]
  const components = parts.map(one => one.component)
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: serialNumber(lock),
    version: 1,
    metadata: {
      component: { type: 'application', 'bom-ref': root, name: lock.name, version: lock.version },
    },
    components: components.sort((a, b) => typeOrder.indexOf(a.type) - typeOrder.indexOf(b.type)),
    dependencies: dependencies(root, parts),
  }
}

interface Part {
  component: Component
  /** refs of the components that require it; absent: the manifest requests it */
  requiredBy?: string[]
}

/** A kind with packages has a component for each, in the same order. */
function carried(lock: Lock): Part[] {
  return kinds.flatMap(kind =>
    (lock.items[kind.name] ?? []).flatMap(item => {
      const components = kind.components([item])
      const packages = kind.packageSets([item]).flatMap(set => set.packages)
      const refs = new Map<string, string[]>()
      for (const [i, { name }] of packages.entries()) {
        const ref = components[i]?.['bom-ref']
        if (ref !== undefined) refs.set(name, [...(refs.get(name) ?? []), ref])
      }
      return components.map((component, i): Part => {
        const { because } = packages[i] ?? {}
        return {
          component,
          ...defined({ requiredBy: because === undefined ? undefined : refs.get(because) }),
        }
      })
    }),
  )
}

/** Guides of a manifest, which travel beside them, have licences of their own. */
const runtimeLicenses = new Map([
  ['offline-deploy/node', 'MIT'],
  ['offline-deploy/offline-deploy', 'Apache-2.0'],
  ['offline-deploy/offline-deploy.mjs', 'Apache-2.0'],
])

function runtimeComponent({ path, digest, version }: RuntimeFile): Component {
  const name = path.split('/').at(-1) ?? path
  const id = runtimeLicenses.get(path)
  return {
    type: 'file',
    'bom-ref': `runtime/${path}`,
    name: path,
    ...defined({ version }),
    hashes: sha256Hash(hexOf(digest)),
    ...defined({ licenses: id === undefined ? undefined : [{ license: { id } }] }),
    ...defined({ purl: version === undefined ? undefined : packageUrl('generic', [name], { version }) }),
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

/** A UUID of version 8 (RFC 9562, section 5.8) whose bits are those of the lock's digest. */
function serialNumber(lock: Lock): string {
  const hex = hexOf(digestOf(canonicalJson(lock)))
  const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16)
  const groups = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ]
  return `urn:uuid:${groups.join('-')}`
}
