import { readApk } from './apk.ts'
import { type DpkgStanza, readDpkg } from './dpkg.ts'
import { readGoBinary } from './go-binary.ts'
import { readJar } from './jar.ts'
import {
  readComposer,
  readDotnet,
  readGemspec,
  readPackageJson,
  readPythonMetadata,
} from './language-files.ts'
import { readCargoLock, readGemfileLock, readNpmLock, readPipfileLock, readPythonLock } from './lock-files.ts'
import { type OsRelease, readOsRelease } from './os-release.ts'
import type { InstalledPackage } from './package.ts'
import { rpmFiles, rpmFolders } from './rpm-database.ts'
import type { TarHeader } from './tar-header.ts'
import { Unreadable } from './unreadable.ts'

/** What is kept of a file: what it says, or its bytes where several files are read together. */
export type Kept =
  | { type: 'packages'; packages: InstalledPackage[] }
  | { type: 'dpkg'; stanzas: DpkgStanza[] }
  | { type: 'os'; os: OsRelease }
  | { type: 'bytes'; bytes: Buffer }
  | { type: 'unreadable'; reason: string }

/** A reader of one kind of file. To read another kind, add it to `readers`. */
interface Reader {
  /** `path` has no leading slash, and no link in it */
  matches(path: string, header: TarHeader): boolean
  read(content: AsyncIterable<Buffer>, entry: { path: string; size: number }): Promise<Kept>
}

const mib = 1 << 20

const readers: readonly Reader[] = [
  at(/^var\/lib\/dpkg\/(?:status|updates\/\d+|status\.d\/(?!.*\.md5sums$)[^/]+)$/, {
    limit: 256 * mib,
    read: async (bytes, path) => ({ type: 'dpkg', stanzas: await readDpkg(bytes, path) }),
  }),
  at(/^(?:usr\/)?lib\/apk\/db\/installed$/, { limit: 128 * mib, read: packages(readApk) }),
  at(/^(?:etc|usr\/lib)\/os-release$/, {
    limit: mib,
    read: async bytes => ({ type: 'os', os: readOsRelease(bytes) }),
  }),
  {
    matches: path => rpmPaths.has(path),
    read: async (content, { size }) => ({
      type: 'bytes',
      bytes: await whole(content, { size, limit: 1024 * mib }),
    }),
  },
  at(/(?:\.dist-info\/METADATA|\.egg-info\/PKG-INFO|\.egg-info)$/, {
    limit: 16 * mib,
    read: packages(readPythonMetadata),
  }),
  at(/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/, {
    limit: 4 * mib,
    read: packages(readPackageJson),
  }),
  at(/\/specifications\/(?:default\/)?[^/]+\.gemspec$/, { limit: 4 * mib, read: packages(readGemspec) }),
  at(/(?:^|\/)vendor\/composer\/installed\.json$/, { limit: 32 * mib, read: packages(readComposer) }),
  at(/\.deps\.json$/, { limit: 32 * mib, read: packages(readDotnet) }),
  at(/\.(?:jar|war|ear)$/, { limit: 512 * mib, read: packages(readJar) }),
  lock(/(?:^|\/)(?:package-lock|npm-shrinkwrap)\.json$/, readNpmLock),
  lock(/(?:^|\/)Cargo\.lock$/, readCargoLock),
  lock(/(?:^|\/)(?:poetry|uv|pdm)\.lock$/, readPythonLock),
  lock(/(?:^|\/)Pipfile\.lock$/, readPipfileLock),
  lock(/(?:^|\/)Gemfile\.lock$/, readGemfileLock),
  {
    matches: (_, { mode, size }) => (mode & 0o111) !== 0 && size > 64 << 10,
    read: async (content, { path }) => ({ type: 'packages', packages: await readGoBinary(content, path) }),
  },
]

const rpmPaths: ReadonlySet<string> = new Set(
  rpmFolders.flatMap(folder => rpmFiles.map(name => `${folder}/${name}`)),
)

/** Returns what a file says, if it is of a kind that says something. Files that claim to and cannot be read are kept as such. */
export async function readFile(
  content: AsyncIterable<Buffer>,
  { path, header }: { path: string; header: TarHeader },
): Promise<Kept | undefined> {
  const reader = readers.find(each => each.matches(path, header))
  if (reader === undefined) return undefined
  try {
    if (header.sparse) throw new Unreadable('it is a sparse file')
    const kept = await reader.read(content, { path, size: header.size })
    return kept.type === 'packages' && kept.packages.length === 0 ? undefined : kept
  } catch (error) {
    if (error instanceof Unreadable) return { type: 'unreadable', reason: error.message }
    throw error
  }
}

/** Whether a file at this path would be read. */
export function isRead(path: string, header: TarHeader): boolean {
  return readers.some(each => each.matches(path, header))
}

type ReadBytes = (bytes: Buffer, path: string) => Promise<Kept>

function at(pattern: RegExp, { limit, read }: { limit: number /* bytes */; read: ReadBytes }): Reader {
  return {
    matches: path => pattern.test(path),
    read: async (content, { path, size }) => await read(await whole(content, { size, limit }), path),
  }
}

/** Packages in node_modules have lock files of their own, of what they were developed with. */
function lock(pattern: RegExp, read: (bytes: Buffer, path: string) => InstalledPackage[]): Reader {
  const reader = at(pattern, { limit: 32 * mib, read: packages(read) })
  return { ...reader, matches: path => pattern.test(path) && !path.includes('node_modules/') }
}

function packages(
  read: (bytes: Buffer, path: string) => InstalledPackage[] | Promise<InstalledPackage[]>,
): ReadBytes {
  return async (bytes, path) => ({ type: 'packages', packages: await read(bytes, path) })
}

async function whole(
  content: AsyncIterable<Buffer>,
  { size, limit }: { size: number; limit: number /* bytes */ },
): Promise<Buffer> {
  if (size > limit) throw new Unreadable(`it is larger than ${limit} bytes`)
  const parts: Buffer[] = []
  for await (const part of content) parts.push(part)
  // a copy: the parts belong to chunks of the layer
  return Buffer.concat(parts)
}
