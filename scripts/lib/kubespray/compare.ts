import { formatReference } from '../../../src/core/reference.ts'
import type { FileRequest } from '../../../src/kinds/file/entry.ts'
import type { StackManifest } from '../../../src/manifest/stack.ts'
import type { NeededFile, NeededImage, Needs } from './needs.ts'

/** What a manifest has against what kubespray needs. */
export interface Difference {
  /** needed, not in the manifest */
  missing: { files: NeededFile[]; images: NeededImage[] }
  /** in the manifest for kubespray, and not needed */
  additional: { files: Extra[]; images: Extra[] }
  /** in both, with another checksum, or without the one that kubespray has */
  different: { url: string; at: string; kubespray: string; manifest: string | null }[]
}

const optional = 'optional, and off in this inventory'

export interface Extra {
  /** URL or reference */
  name: string
  at: string
  why: string
}

/** `allowOptional`: what the inventory switches off may be carried all the same, as variants of a manifest only ever add. */
export function differenceOf(
  needs: Needs,
  manifest: StackManifest,
  { allowOptional = false }: { allowOptional?: boolean } = {},
): Difference {
  const files = new Map(manifest.files.map(file => [file.url, file]))
  const images = new Set(manifest.images.map(image => formatReference(image.reference)))
  const counts = ({ why }: Extra) => !(allowOptional && why === optional)
  return {
    missing: {
      files: needs.files.filter(file => file.needed && !files.has(file.url)),
      images: needs.images.filter(image => image.needed && !images.has(image.reference)),
    },
    additional: {
      files: manifest.files.flatMap(file => additionalFile(file, needs)).filter(counts),
      images: additionalImages(manifest, needs).filter(counts),
    },
    different: needs.files.flatMap(({ url, sha256 }) => {
      const file = files.get(url)
      if (file === undefined || sha256 === undefined || file.sha256 === sha256) return []
      return [{ url, at: file.at, kubespray: sha256, manifest: file.sha256 ?? null }]
    }),
  }
}

export function countOf({ missing, additional, different }: Difference): number {
  const parts = [missing.files, missing.images, additional.files, additional.images, different]
  return parts.reduce((sum, part) => sum + part.length, 0)
}

/** A manifest does not say what each file is for: kubespray's are those that it could ask for, and other versions of them. */
function additionalFile(file: FileRequest, needs: Needs): Extra[] {
  // kubespray asks for HOST/PATH and sets modes itself: such an entry is for somebody else (yq, for the operator)
  if (file.executable || file.path !== defaultPath(file.url)) return []
  const found = (why: string) => [{ name: file.url, at: file.at, why }]
  const known = needs.files.find(({ url }) => url === file.url)
  if (known !== undefined) return known.needed ? [] : found(optional)
  const family = versionless(file.url)
  const current = needs.files.find(({ url, needed }) => needed && versionless(url) === family)
  return current === undefined ? [] : found(`another version is needed: ${current.url}`)
}

/** Of the lists that say they are kubespray's (`usedBy: kubespray`): other releases may use the same repositories. */
function additionalImages({ images, excuses }: StackManifest, needs: Needs): Extra[] {
  const needed = new Set(needs.images.filter(image => image.needed).map(image => image.reference))
  const known = new Set(needs.images.map(image => image.reference))
  const kubesprays = new Set(
    excuses.filter(({ reason }) => /^used by .*kubespray/i.test(reason)).map(({ name }) => name),
  )
  return images
    .map(({ reference, at }) => ({ name: formatReference(reference), at }))
    .filter(({ name }) => kubesprays.has(name) && !needed.has(name))
    .map(image => ({
      ...image,
      why: known.has(image.name) ? optional : 'kubespray has no such image, or another version of it',
    }))
}

function defaultPath(url: string): string {
  const { hostname, pathname } = new URL(url)
  return `${hostname}${decodeURIComponent(pathname)}`
}

function versionless(url: string): string {
  return url.replace(/v?\d+(?:\.\d+)+(?:-(?:alpha|beta|rc)\.?\d+)?/g, '*')
}
