import { compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Component } from '../kinds/component.ts'
import { kinds } from '../kinds/index.ts'
import { componentsOf } from '../layers/components.ts'
import type { ImageContent } from '../layers/installed.ts'
import type { Lock } from '../lock/schema.ts'
import type { ScanTarget } from './finding.ts'

/** One document for a scanner: a distribution is known to it for a whole document only. */
export interface ScanDocument extends ScanTarget {
  sbom: object
}

/** The images, each platform on its own, and the package sets of a bundle. */
export function scanDocuments(lock: Lock, images: readonly ImageContent[]): ScanDocument[] {
  return [...images.map(imageDocument), ...packageDocuments(lock)]
}

function imageDocument(content: ImageContent): ScanDocument {
  const { name, platform, packages, notRead } = content
  const components = componentsOf(content, { ref: `image/${name}` })
  return defined({
    name,
    platform,
    packages: packages.length,
    notRead: notRead.length,
    sbom: documentOf(name, components),
  })
}

/** Debian and RPM packages by their OS release, the wheels together. */
function packageDocuments(lock: Lock): ScanDocument[] {
  return kinds.flatMap(kind =>
    (lock.items[kind.name] ?? []).flatMap((item): ScanDocument[] => {
      const [set] = kind.packageSets([item])
      if (set === undefined) return []
      const components = kind.components([item])
      const system = systemOf(item.name)
      const name = set.tree === set.title ? set.tree : set.title
      return [
        {
          name,
          packages: components.length,
          notRead: 0,
          sbom: documentOf(name, system === undefined ? components : [system, ...components]),
        },
      ]
    }),
  )
}

/** `ubuntu-22.04`, `el9`: what an entry of packages is called says for which release it is. */
function systemOf(name: string): Component | undefined {
  const [, word, version] = /^([a-z]+)-?(\d[\d.]*)$/.exec(name) ?? []
  if (word === undefined || version === undefined) return undefined
  return {
    type: 'operating-system',
    'bom-ref': 'os',
    name: word === 'el' ? 'rhel' : word,
    version,
  }
}

function documentOf(name: string, components: readonly Component[]): object {
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: { type: 'container', 'bom-ref': 'target', name } },
    components: [...components].sort((a, b) => compareText(a['bom-ref'], b['bom-ref'])),
  }
}

/** Package URLs of images by their names, as VEX statements name them. */
export function imagePurls(lock: Lock): Map<string, string> {
  const image = kinds.find(kind => kind.name === 'image')
  const items = lock.items['image'] ?? []
  const found = new Map<string, string>()
  for (const item of items)
    for (const { purl } of image?.components([item]) ?? []) if (purl !== undefined) found.set(item.name, purl)
  return found
}
