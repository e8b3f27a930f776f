import type { Artifact } from '../../content/artifact.ts'
import { inlineFile, type TreeFile, treeArtifacts } from '../../content/tree.ts'
import { digestFromHex } from '../../core/digest.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import type { LockedDeb, LockedDebs } from './locked.ts'

/** One tree `debs/NAME` per suite: the packages under upstream's paths, and the indexes that list just them. */
export function assembleDebs(items: LockedDebs[]): Artifact[] {
  return items.flatMap(item =>
    treeArtifacts({
      name: `debs/${item.name}`,
      kind: 'deb',
      files: [...poolFiles(item), ...indexFiles(item)],
    }),
  )
}

function poolFiles(item: LockedDebs): TreeFile[] {
  const files = new Map<string, TreeFile>()
  for (const deb of item.packages) {
    const path = safeRelativePath(deb.filename, 'LOCK_INVALID')
    files.set(path, {
      path,
      mode: '100644',
      descriptor: { mediaType: mediaTypes.octets, digest: digestFromHex(deb.sha256), size: deb.size },
      origin: { sources: [{ type: 'url', url: packageUrl(item.archive, path) }] },
    })
  }
  return [...files.values()]
}

/** Names have `+`, `~` and `%3a` in them, each of which some server or proxy reads in another way when left bare. */
export function packageUrl(archive: string, filename: string): string {
  return `${archive.replace(/\/+$/, '')}/${filename.split('/').map(encodeURIComponent).join('/')}`
}

/** Debian repository format, "Packages Indices": one per component and architecture, also where it is empty. */
function indexFiles(item: LockedDebs): TreeFile[] {
  return item.components.flatMap(component =>
    item.architectures.map(architecture => {
      const stanzas = item.packages
        .filter(deb => deb.component === component && isFor(deb, architecture))
        .map(deb => `${deb.stanza.join('\n')}\n`)
      const path = `dists/${item.suite}/${component}/binary-${architecture}/Packages`
      return inlineFile(path, Buffer.from(stanzas.join('\n')))
    }),
  )
}

function isFor(deb: LockedDeb, architecture: string): boolean {
  return deb.architecture === 'all' || deb.architecture === architecture
}
