import { compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import { printableLine } from '../core/printable.ts'
import { type DpkgStanza, installedByDpkg } from './dpkg.ts'
import type { FileSystem } from './file-system.ts'
import type { ImageLayers } from './image-layers.ts'
import type { OsRelease } from './os-release.ts'
import type { InstalledPackage } from './package.ts'
import type { Kept } from './readers.ts'
import { readRpmDatabase, rpmFiles, rpmFolders } from './rpm-database.ts'
import { Unreadable } from './unreadable.ts'

/** What is installed in an image for one platform. */
export interface ImageContent {
  name: string
  digest: Digest
  platform?: string
  os?: OsRelease
  /** sorted by type, name and version */
  packages: InstalledPackage[]
  /** layers and files that should list packages and could not be read; empty where the list is complete */
  notRead: NotRead[]
}

export interface NotRead {
  /** a whole layer, … */
  layer?: Digest
  /** … or a file of the image */
  path?: string
  /** a clause without a full stop */
  reason: string
}

/** No real image comes near; the list has to fit into a document. */
const maxPackages = 200_000

/** Files that a distribution's packages are known by: a link to nowhere hides them. */
const databases = [
  'var/lib/dpkg/status',
  'lib/apk/db/installed',
  'usr/lib/apk/db/installed',
  ...rpmFolders.flatMap(folder => rpmFiles.map(name => `${folder}/${name}`)),
]

/** Puts together what the kept files of an image say. */
export function installedIn(
  image: ImageLayers,
  { files, notRead: layersNotRead }: { files: FileSystem<Kept>; notRead: readonly NotRead[] },
): ImageContent {
  const kept = new Map([...files.files()].sort(([a], [b]) => compareText(a, b)))
  const notRead: NotRead[] = [...layersNotRead]
  const packages: InstalledPackage[] = []
  const stanzas: DpkgStanza[] = []
  for (const [path, file] of kept) {
    // a hard link has the content of another path
    const shown = printableLine(path, 400)
    if (file.type === 'packages')
      for (const one of file.packages) packages.push(one.path === shown ? one : { ...one, path: shown })
    // the journal's names (`updates/0001`) sort after `status`, and in its order
    if (file.type === 'dpkg') for (const one of file.stanzas) stanzas.push(one)
    if (file.type === 'unreadable') notRead.push({ path: shown, reason: file.reason })
  }
  for (const one of installedByDpkg(stanzas)) packages.push(one)
  addRpms({ kept, packages, notRead })
  for (const path of databases)
    if (files.isLink(path) && files.read(path) === undefined)
      notRead.push({ path, reason: 'it is a symbolic link to a file that is not read' })
  if (packages.length > maxPackages) {
    notRead.push({ reason: `it lists ${packages.length} packages; only the first ${maxPackages} are shown` })
    packages.length = maxPackages
  }
  const os = [files.read('etc/os-release'), files.read('usr/lib/os-release')].find(
    file => file?.type === 'os',
  )
  const { name, digest, platform } = image
  return defined({
    name,
    digest,
    platform,
    os: os?.type === 'os' ? os.os : undefined,
    packages: sorted(packages),
    notRead,
  })
}

function addRpms({
  kept,
  packages,
  notRead,
}: {
  kept: ReadonlyMap<string, Kept>
  packages: InstalledPackage[]
  notRead: NotRead[]
}): void {
  for (const folder of rpmFolders) {
    const read = (name: string) => {
      const file = kept.get(`${folder}/${name}`)
      return file?.type === 'bytes' ? file.bytes : undefined
    }
    try {
      for (const one of readRpmDatabase(folder, read)) packages.push(one)
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      notRead.push({ path: folder, reason: error.message })
    }
  }
}

/** The same package may be recorded in several places, as in a layer of pip and in Debian's own. */
function sorted(packages: readonly InstalledPackage[]): InstalledPackage[] {
  const keyed = packages.map(one => ({
    key: [one.type, one.name, one.version, one.epoch ?? '', one.architecture ?? '', one.path].join('\0'),
    one,
  }))
  keyed.sort((a, b) => compareText(a.key, b.key))
  return keyed.filter(({ key }, i) => i === 0 || key !== keyed[i - 1]!.key).map(({ one }) => one)
}
