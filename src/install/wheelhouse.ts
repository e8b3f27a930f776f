import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { readAll } from '../content/read.ts'
import { hexOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { type BundleFiles, writeBundleFile } from './bundle-files.ts'

/**
 * Writes the wheels that these requirements can need, verified, into a folder of this host, where pip finds them (`--find-links`). Nothing
 * comes from the site's ports: this host runs what pip installs as root, and another program that listens there could replace it. Which projects are needed is
 * read from the metadata beside the wheels, without versions and markers, so that it is rather too much; all of them for a
 * requirements file with options.
 */
export async function writeWheelhouse(
  wheels: BundleFiles,
  { requirements, folder, signal }: { requirements: string; folder: string; signal: AbortSignal },
): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  const projects = await closureOf(wheels, projectsIn(requirements))
  for (const path of wheelPaths(wheels)) {
    if (projects !== 'all' && !projects.has(projectOf(path))) continue
    signal.throwIfAborted()
    await writeBundleFile(wheels, { path, to: join(folder, basename(path)), mode: 0o644 })
  }
}

const reportSchema = z.object({
  install: z.array(
    z.object({
      download_info: z.object({ url: z.string() }),
      metadata: z.object({ name: z.string(), version: z.string() }),
    }),
  ),
})

/**
 * Returns a requirements file with exactly what pip has chosen (`pip install --dry-run --report`), for `--require-hashes`. The hashes are
 * those of the bundle, not of the report. Throws INTERNAL for a report in another format.
 */
export function hashedRequirements(report: string, wheels: BundleFiles): string {
  const known = new Map(wheelPaths(wheels).map(path => [basename(path), path]))
  let parsed: z.infer<typeof reportSchema>
  try {
    parsed = reportSchema.parse(JSON.parse(report))
  } catch (error) {
    throw new AirgapError('INTERNAL', 'the report of pip has an unknown format', { cause: error })
  }
  const lines = parsed.install.map(({ download_info: { url }, metadata: { name, version } }) => {
    const file = decodeURIComponent(basename(new URL(url).pathname))
    const path = known.get(file)
    if (path === undefined)
      throw new AirgapError('DIGEST_MISMATCH', 'pip has chosen a file that is not in the bundle', {
        item: file,
        likely: 'another program wrote to the folder of the wheels',
        next: 'find out which one, then run the same command again: it writes the folder again',
      })
    const { digest } = wheels.entries.get(path)!.descriptor
    return `${name}==${version} --hash=sha256:${hexOf(digest)}`
  })
  return `${lines.sort().join('\n')}\n`
}

/** Names of the projects in a requirements file, normalized; undefined where it has options (`-r`, `-c`) or files by URL. */
function projectsIn(requirements: string): string[] | undefined {
  const lines = requirements
    .replace(/\\\r?\n/g, ' ')
    .split('\n')
    .map(line => line.replace(/(?:^|\s)#.*/, '').trim())
    .filter(line => line !== '')
  const names = lines.map(line => /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?/.exec(line)?.[0])
  return names.every(name => name !== undefined) ? names.map(normalized) : undefined
}

async function closureOf(
  { store, entries }: BundleFiles,
  projects: readonly string[] | undefined,
): Promise<ReadonlySet<string> | 'all'> {
  if (projects === undefined) return 'all'
  const metadata = new Map<string, string[]>()
  for (const path of wheelPaths({ store, entries })) {
    const beside = `${path}.metadata`
    if (!entries.has(beside)) return 'all'
    metadata.set(projectOf(path), [...(metadata.get(projectOf(path)) ?? []), beside])
  }
  const found = new Set<string>()
  const open = [...projects]
  for (let project = open.pop(); project !== undefined; project = open.pop()) {
    if (found.has(project)) continue
    found.add(project)
    for (const path of metadata.get(project) ?? []) {
      const text = (await readAll(store, entries.get(path)!.descriptor)).toString('utf8')
      // headers of an e-mail (core metadata specification): the description comes after an empty line
      for (const [, name = ''] of text.matchAll(/^Requires-Dist:[ \t]*([A-Za-z0-9._-]+)/gim))
        open.push(normalized(name))
    }
  }
  return found
}

function wheelPaths({ entries }: BundleFiles): string[] {
  return [...entries.keys()].filter(path => path.endsWith('.whl')).sort()
}

/** Wheels are in a folder named after their project. */
function projectOf(path: string): string {
  return normalized(path.slice(0, Math.max(path.indexOf('/'), 0)))
}

/** PEP 503 */
function normalized(name: string): string {
  return name.replace(/[-_.]+/g, '-').toLowerCase()
}
