import { canonicalJson } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { digestOf, hexOf } from '../core/digest.ts'
import { packageUrl } from '../core/package-url.ts'
import type { Lock, RuntimeFile } from '../lock/schema.ts'
import { type Component, sha256Hash } from './component.ts'
import { kinds } from './index.ts'

/** What a bundle is made of, in no format yet: CycloneDX (`sbom.ts`) and SPDX (`spdx.ts`) say the same. */
export interface Bill {
  parts: Part[]
  /** follows from the content */
  uuid: string
}

export interface BillOptions {
  /** what was found inside a component, by its `bom-ref`: the packages in the layers of an image */
  inside?: ReadonlyMap<string, Pick<Component, 'components' | 'properties'>>
}

/** The `bom-ref` of the bundle itself. */
export function bundleRef({ name, version }: Pick<Lock, 'name' | 'version'>): string {
  return `bundle/${name}@${version}`
}

/** Throws LOCK_INVALID. */
export function billOf(lock: Lock, { inside }: BillOptions = {}): Bill {
  const parts = [...carried(lock), ...lock.runtime.map(file => ({ component: runtimeComponent(file) }))]
  if (inside === undefined) return { parts, uuid: uuidOf(canonicalJson(lock)) }
  const filled = parts.map(part => {
    const found = inside.get(part.component['bom-ref'])
    return found === undefined ? part : { ...part, component: { ...part.component, ...found } }
  })
  const content = JSON.stringify([...inside].sort(([a], [b]) => (a < b ? -1 : 1)))
  return { parts: filled, uuid: uuidOf(`${canonicalJson(lock)}\n${content}`) }
}

export interface Part {
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

/** A UUID of version 8 (RFC 9562, section 5.8) whose bits are those of the text's digest. */
function uuidOf(text: string): string {
  const hex = hexOf(digestOf(text))
  const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16)
  const groups = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ]
  return groups.join('-')
}
