import { formatReference } from '../../../src/core/reference.ts'
import type { FileRequest } from '../../../src/kinds/file/entry.ts'
import type { StackManifest } from '../../../src/manifest/stack.ts'
import type { NeededFile, NeededImage, Needs } from './needs.ts'

/** Differences between a manifest and what kubespray needs. */
export interface Difference {
  /** needed, but not in the manifest */
  missing: { files: NeededFile[]; images: NeededImage[] }
  /** in the manifest for kubespray, but not needed */
  additional: { files: Extra[]; images: Extra[] }
  /** in both, but the checksum differs from kubespray's or is missing */
  different: { url: string; at: string; kubespray: string; manifest: string | null }[]
}

const optional = 'optional, and disabled in this inventory'

export interface Extra {
  /** URL or reference */
  name: string
  at: string
  why: string
}

/** `allowOptional`: the manifest may carry what the inventory disables, because variants of a manifest only add. */
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

/** A manifest does not record the purpose of a file. Kubespray's are those that it can download, in any version. */
function additionalFile(file: FileRequest, needs: Needs): Extra[] {
  // kubespray downloads HOST/PATH and sets modes itself: an entry with a name or a mode is for something else (yq for operators)
  if (file.executable || file.path !== defaultPath(file.url)) return []
  const found = (why: string) => [{ name: file.url, at: file.at, why }]
  const known = needs.files.find(({ url }) => url === file.url)
  if (known !== undefined) return known.needed ? [] : found(optional)
  const family = versionless(file.url)
  const current = needs.files.find(({ url, needed }) => needed && versionless(url) === family)
  return current === undefined ? [] : found(`another version is needed: ${current.url}`)
}

/** Images of the lists that are marked as kubespray's (`usedBy: kubespray`): other releases may use the same repositories. */
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
      why: known.has(image.name) ? optional : 'kubespray does not use this image, or uses another version',
    }))
}

/** Path of a file below /files, unless the manifest sets another one. */
export function defaultPath(url: string): string {
  const { hostname, pathname } = new URL(url)
  return `${hostname}${decodeURIComponent(pathname)}`
}

function versionless(url: string): string {
  return url.replace(/v?\d+(?:\.\d+)+(?:-(?:alpha|beta|rc)\.?\d+)?/g, '*')
}
