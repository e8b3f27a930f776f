import type { Artifact } from '../../content/artifact.ts'
import { inlineFile, type TreeFile, treeArtifacts } from '../../content/tree.ts'
import { compareText } from '../../core/canonical-json.ts'
import { digestFromHex } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import { flatFolder, isFlat } from './flat.ts'
import type { LockedDeb, LockedDebs, LockedSource } from './locked.ts'

/**
 * One tree `debs/NAME` per OS release. Each archive has a folder of its own in it, named by its host and path, with upstream's
 * paths below: stanzas stay word for word, and archives cannot collide. Beside the indexes stands what the site's Release
 * file is to repeat of upstream's.
 */
export function assembleDebs(items: LockedDebs[]): Artifact[] {
  return items.flatMap(item =>
    treeArtifacts({
      name: `debs/${item.name}`,
      kind: 'deb',
      files: [...poolFiles(item), ...indexFiles(item)],
    }),
  )
}

/** `http://deb.debian.org/debian` → `deb.debian.org/debian` */
export function archiveFolder(archive: string): string {
  const { hostname, port, pathname } = new URL(archive)
  const host = `${hostname.replace(/[^a-z0-9.-]/g, '_')}${port === '' ? '' : `_${port}`}`
  const path = decodeURIComponent(pathname).replace(/^\/+|\/+$/g, '')
  return safeRelativePath(path === '' ? host : `${host}/${path}`, 'LOCK_INVALID')
}

function sourceOf(item: LockedDebs, deb: LockedDeb): LockedSource {
  const source = item.sources[deb.source]
  if (source) return source
  throw new AirgapError('LOCK_INVALID', 'a package names a source that the lock does not have', {
    item: `${item.name}: ${deb.name} ${deb.version}`,
    next: 'make the lock anew with `airgap lock`',
  })
}

function poolFiles(item: LockedDebs): TreeFile[] {
  const files = new Map<string, TreeFile>()
  for (const deb of item.packages) {
    const source = sourceOf(item, deb)
    const { archive } = source
    const path = safeRelativePath(`${poolFolder(source)}/${deb.filename}`, 'LOCK_INVALID')
    files.set(path, {
      path,
      mode: '100644',
      descriptor: { mediaType: mediaTypes.octets, digest: digestFromHex(deb.sha256), size: deb.size },
      origin: {
        sources: [{ type: 'url', url: packageUrl(archive, deb.filename), ...archivedAt(deb, source) }],
      },
    })
  }
  return [...files.values()]
}

/** What the `Filename` of a stanza is relative to: the site serves a flat repository as one that has no folder of its own. */
function poolFolder({ archive, suite }: LockedSource): string {
  const folder = isFlat(suite) ? flatFolder(suite) : ''
  return folder === '' ? archiveFolder(archive) : `${archiveFolder(archive)}/${folder}`
}

/** Distributions drop a version when the next one comes, and keep all of them elsewhere. */
function archivedAt({ name, version }: LockedDeb, { release }: LockedSource): { archivedAt?: string } {
  const binary = encodeURIComponent(name)
  if (release.Origin === 'Debian') return { archivedAt: `https://snapshot.debian.org/binary/${binary}/` }
  if (release.Origin !== 'Ubuntu' || release.Codename === undefined) return {}
  return { archivedAt: `https://launchpad.net/ubuntu/${release.Codename}/+package/${binary} (${version})` }
}

/** Names have `+`, `~` and `%3a` in them, each of which some server or proxy reads in another way when left bare. */
export function packageUrl(archive: string, filename: string): string {
  return `${archive.replace(/\/+$/, '')}/${filename.split('/').map(encodeURIComponent).join('/')}`
}

/** Debian repository format, "Packages Indices": one per component and architecture, also where it is empty. */
function indexFiles(item: LockedDebs): TreeFile[] {
  return item.sources.flatMap((source, i) => {
    const own = item.packages.filter(deb => deb.source === i)
    const flat = isFlat(source.suite)
    const folder = flat ? poolFolder(source) : `${archiveFolder(source.archive)}/dists/${source.suite}`
    const indexes = source.components.flatMap(component =>
      [...item.architectures, ...(item.foreignArchitectures ?? [])].map(architecture => {
        const stanzas = own
          .filter(deb => deb.component === component && isFor(deb, architecture))
          .map(deb => `${deb.stanza.join('\n')}\n`)
        return inlineFile(
          `${folder}/${component}/binary-${architecture}/Packages`,
          Buffer.from(stanzas.join('\n')),
        )
      }),
    )
    // sorted: a lock that was read again has its keys in another order
    const fields = Object.entries(source.release)
      .sort(([a], [b]) => compareText(a, b))
      .map(([name, value]) => `${name}: ${value}\n`)
    if (flat) {
      const stanzas = own.map(deb => `${deb.stanza.join('\n')}\n`)
      indexes.push(inlineFile(`${folder}/Packages`, Buffer.from(stanzas.join('\n'))))
    }
    return [...indexes, inlineFile(`${folder}/Release.upstream`, Buffer.from(fields.join('')))]
  })
}

function isFor(deb: LockedDeb, architecture: string): boolean {
  return deb.architecture === 'all' || deb.architecture === architecture
}
