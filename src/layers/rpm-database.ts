import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { type RpmHeader, readHeader, tags } from '../kinds/rpm/header.ts'
import { berkeleyValues } from './berkeley-hash.ts'
import { ndbBlobs } from './ndb.ts'
import { cleanText, type InstalledPackage } from './package.ts'
import { tableBlobs } from './sqlite.ts'
import { Unreadable } from './unreadable.ts'

/** Where rpm keeps its database: its default, that of Fedora and SUSE, that of ostree. */
export const rpmFolders = ['var/lib/rpm', 'usr/lib/sysimage/rpm', 'usr/share/rpm'] as const
/** The files of its three formats, and the log of the first; of two that are there, rpm uses the first. */
export const rpmFiles = ['rpmdb.sqlite', 'rpmdb.sqlite-wal', 'Packages.db', 'Packages'] as const

/** What a header in a file starts with, and one in a database does not. */
const headerStart = Buffer.from([0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0])
const tagsHere = { vendor: 1011, license: 1014 } as const

/** Returns the packages as `rpm -qa` lists them, `gpg-pubkey` included. `read` returns a file of the folder. Throws Unreadable. */
export function readRpmDatabase(
  folder: string,
  read: (name: (typeof rpmFiles)[number]) => Buffer | undefined,
): InstalledPackage[] {
  const [sqlite, ndb, berkeley] = [read('rpmdb.sqlite'), read('Packages.db'), read('Packages')]
  if (sqlite !== undefined)
    return packagesOf(firstBlobs(sqlite, read('rpmdb.sqlite-wal')), `${folder}/rpmdb.sqlite`)
  if (ndb !== undefined) return packagesOf(ndbBlobs(ndb), `${folder}/Packages.db`)
  if (berkeley !== undefined) return packagesOf(berkeleyHeaders(berkeley), `${folder}/Packages`)
  return []
}

/** The table has a column of one type only. */
function* firstBlobs(database: Buffer, wal: Buffer | undefined): Generator<Buffer> {
  for (const [blob] of tableBlobs(database, 'Packages', wal)) if (blob !== undefined) yield blob
}

/** One value is not a header: under key 0, the number of the last package. */
function* berkeleyHeaders(file: Buffer): Generator<Buffer> {
  for (const value of berkeleyValues(file)) if (value.length > 8) yield value
}

function packagesOf(headers: Iterable<Buffer>, path: string): InstalledPackage[] {
  const packages: InstalledPackage[] = []
  for (const blob of headers) packages.push(packageOf(headerOf(blob, path), path))
  return packages
}

function headerOf(blob: Buffer, path: string): RpmHeader {
  try {
    return readHeader(Buffer.concat([headerStart, blob]), path)
  } catch (error) {
    if (error instanceof AirgapError) throw new Unreadable(error.message)
    throw error
  }
}

function packageOf(header: RpmHeader, path: string): InstalledPackage {
  const field = (tag: number) => cleanText(header.string(tag))
  const [name, version, release] = [field(tags.name), field(tags.version), field(tags.release)]
  if (name === undefined || version === undefined || release === undefined)
    throw new Unreadable('a package in the database has no name or version')
  return defined({
    type: 'rpm' as const,
    name,
    version: `${version}-${release}`,
    epoch: header.int32(tags.epoch)?.toString(),
    architecture: field(tags.arch),
    source: sourceOf(field(tags.sourceRpm)),
    vendor: field(tagsHere.vendor),
    license: field(tagsHere.license),
    path,
  })
}

/** `bash-5.1.8-9.el9.src.rpm` */
function sourceOf(file: string | undefined): InstalledPackage['source'] {
  const parts = file?.replace(/\.(?:no)?src\.rpm$/, '').split('-') ?? []
  if (parts.length < 3) return undefined
  return { name: parts.slice(0, -2).join('-'), version: parts.slice(-2).join('-') }
}
