import { AirgapError } from '../core/errors.ts'
import { listZip, type ZipEntry } from '../kinds/wheel/zip.ts'
import { one } from './language-files.ts'
import type { InstalledPackage } from './package.ts'
import { Unreadable } from './unreadable.ts'

/** Java archives: what Maven wrote into them, else their manifest, and the archives inside them (Spring Boot, war). */

const maxDepth = 3
const maxArchives = 5_000

/** Throws Unreadable. */
export async function readJar(bytes: Buffer, path: string): Promise<InstalledPackage[]> {
  const packages: InstalledPackage[] = []
  const waiting = [{ bytes, name: path, depth: 1 }]
  let archives = 0
  for (let jar = waiting.pop(); jar !== undefined; jar = waiting.pop()) {
    if (++archives > maxArchives) throw new Unreadable(`it contains more than ${maxArchives} archives`)
    const { bytes: content, name, depth } = jar
    const zip = await open(content, name)
    packages.push(...(await ownPackages(zip, { name, path })))
    const inner = zip.entries.filter(entry => /\.(?:jar|war)$/.test(entry.name))
    if (inner.length > 0 && depth === maxDepth)
      throw new Unreadable('it contains archives in archives in archives')
    for (const entry of inner)
      waiting.push({ bytes: await zip.read(entry), name: entry.name, depth: depth + 1 })
  }
  return packages
}

interface Zip {
  entries: ZipEntry[]
  read(entry: ZipEntry): Promise<Buffer>
}

async function open(content: Buffer, item: string): Promise<Zip> {
  const archive = {
    size: content.length,
    read: async (start: number, end: number) => content.subarray(start, end),
  }
  const readable = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw error instanceof AirgapError || error instanceof RangeError
        ? new Unreadable(error.message)
        : error
    }
  }
  const zip = await readable(() => listZip(archive, { item }))
  return { entries: zip.entries, read: entry => readable(() => zip.read(entry)) }
}

async function ownPackages(
  zip: Zip,
  { name, path }: { name: string; path: string },
): Promise<InstalledPackage[]> {
  const packages: InstalledPackage[] = []
  for (const entry of zip.entries) {
    if (!/^META-INF\/maven\/[^/]+\/[^/]+\/pom\.properties$/.test(entry.name)) continue
    const fields = propertiesOf(await zip.read(entry), '=')
    const [group, artifact] = [fields.get('groupId'), fields.get('artifactId')]
    if (group === undefined || artifact === undefined) continue
    packages.push(...one('maven', { name: `${group}:${artifact}`, version: fields.get('version'), path }))
  }
  if (packages.length > 0) return packages
  const manifest = zip.entries.find(entry => entry.name === 'META-INF/MANIFEST.MF')
  const fields =
    manifest === undefined ? new Map<string, string>() : propertiesOf(await zip.read(manifest), ':')
  // the name of the file is the best that is left: `jackson-core-2.15.2.jar`
  const { base, version } = namedByFile(name)
  return one('maven', {
    name: base ?? fields.get('Bundle-SymbolicName') ?? fields.get('Implementation-Title'),
    version: version ?? fields.get('Implementation-Version') ?? fields.get('Bundle-Version'),
    path,
  })
}

function propertiesOf(bytes: Buffer, separator: '=' | ':'): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of bytes.toString('utf8').split(/\r?\n/)) {
    const at = line.indexOf(separator)
    if (at > 0 && line[0] !== '#') fields.set(line.slice(0, at).trim(), line.slice(at + 1).trim())
  }
  return fields
}

function namedByFile(path: string): { base?: string; version?: string } {
  const file = path.slice(path.lastIndexOf('/') + 1)
  if (!/.\.[jw]ar$/.test(file)) return {}
  const base = file.slice(0, -4)
  const at = base.search(/(?<=.)-\d/)
  return at < 0 ? { base } : { base: base.slice(0, at), version: base.slice(at + 1) }
}
