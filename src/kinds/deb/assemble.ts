import type { Artifact } from '../../content/artifact.ts'
import { inlineFile, type TreeFile, treeArtifacts } from '../../content/tree.ts'
import { compareText } from '../../core/canonical-json.ts'
import { digestFromHex } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { encodePath, normalizeRelativePath } from '../../core/safe-path.ts'
import { withoutTrailing } from '../../core/trim.ts'
import { flatFolder, isFlat } from './flat.ts'
import type { LockedDeb, LockedDebs, LockedSource } from './locked.ts'

/**
 * One tree `debs/NAME` per OS release. Each archive has its own folder in it, named by its host and path, with upstream's
 * paths below, so archives cannot collide. Stanzas stay word for word, except for a `Filename` that has `.` or doubled slashes
 * in it: it is written as the path in the tree. Each suite's folder also holds `Release.upstream`: the fields of upstream's
 * Release file that the site's repeats.
 */
export function assembleDebs(items: LockedDebs[]): Artifact[] {
  return items.flatMap(item =>
    treeArtifacts({
      name: `debs/${item.name}`,
      kind: 'deb',
      files: distinctFiles([...poolFiles(item), ...indexFiles(item)], item.name),
    }),
  )
}

/** `http://deb.debian.org/debian` → `deb.debian.org/debian` */
export function archiveFolder(archive: string): string {
  const { hostname, port, pathname } = new URL(archive)
  const host = `${hostname.replace(/[^a-z0-9.-]/g, '_')}${port === '' ? '' : `_${port}`}`
  return normalizeRelativePath(`${host}/${decoded(pathname)}`, 'LOCK_INVALID')
}

/** A percent sign that is not part of an escape is kept literally, as apt sends it. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

function sourceOf(item: LockedDebs, deb: LockedDeb): LockedSource {
  const source = item.sources[deb.source]
  if (source) return source
  throw new AirgapError('LOCK_INVALID', 'a package refers to a source that is not in the lock', {
    item: `${item.name}: ${deb.name} ${deb.version}`,
    next: 'create the lock again with `airgap lock`',
  })
}

function poolFiles(item: LockedDebs): TreeFile[] {
  return item.packages.map(deb => {
    const source = sourceOf(item, deb)
    const url = packageUrl(source.archive, deb.filename)
    return {
      path: `${poolFolder(source)}/${servedPath(deb)}`,
      mode: '100644',
      descriptor: { mediaType: mediaTypes.octets, digest: digestFromHex(deb.sha256), size: deb.size },
      origin: { sources: [{ type: 'url', url, ...archivedAt(deb, source) }] },
    }
  })
}

/** Each path once: two sources may be one suite, each with components of its own. */
function distinctFiles(files: TreeFile[], name: string): TreeFile[] {
  const byPath = new Map<string, TreeFile>()
  for (const file of files) {
    const other = byPath.get(file.path)
    if (other !== undefined && other.descriptor.digest !== file.descriptor.digest) {
      throw new AirgapError('NAME_COLLISION', 'two files of a package repository have the same path', {
        item: `debs/${name}/${file.path}`,
        likely: 'two sources of the entry are the same archive and suite',
        next: 'remove one of the two sources from the manifest, or split them into two entries',
      })
    }
    byPath.set(file.path, file)
  }
  return [...byPath.values()]
}

/** The path of a package below the folder of its archive. */
function servedPath({ filename }: LockedDeb): string {
  return normalizeRelativePath(filename, 'LOCK_INVALID')
}

/** The stanza as the site's Packages has it: apt does not resolve `./` before it requests a file. */
function servedStanza(deb: LockedDeb): string {
  const path = servedPath(deb)
  const lines = deb.stanza.map(line => {
    const written = /^Filename:/i.test(line) ? line.slice('Filename:'.length).trim() : undefined
    return written === undefined || written === path ? line : `Filename: ${path}`
  })
  return `${lines.join('\n')}\n`
}

/** What the `Filename` of a stanza is relative to: the site serves a flat repository as one that has no folder of its own. */
function poolFolder({ archive, suite }: LockedSource): string {
  const folder = isFlat(suite) ? flatFolder(suite) : ''
  return normalizeRelativePath(`${archiveFolder(archive)}/${folder}`, 'LOCK_INVALID')
}

/** Distributions drop a version when the next one comes, and keep all of them elsewhere. */
function archivedAt({ name, version }: LockedDeb, { release }: LockedSource): { archivedAt?: string } {
  const binary = encodeURIComponent(name)
  if (release.Origin === 'Debian') return { archivedAt: `https://snapshot.debian.org/binary/${binary}/` }
  if (release.Origin !== 'Ubuntu' || release.Codename === undefined) return {}
  return { archivedAt: `https://launchpad.net/ubuntu/${release.Codename}/+package/${binary} (${version})` }
}

export function packageUrl(archive: string, filename: string): string {
  return `${withoutTrailing(archive, '/')}/${encodePath(filename)}`
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
          .map(servedStanza)
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
      indexes.push(inlineFile(`${folder}/Packages`, Buffer.from(own.map(servedStanza).join('\n'))))
    }
    return [...indexes, inlineFile(`${folder}/Release.upstream`, Buffer.from(fields.join('')))]
  })
}

function isFor(deb: LockedDeb, architecture: string): boolean {
  return deb.architecture === 'all' || deb.architecture === architecture
}
