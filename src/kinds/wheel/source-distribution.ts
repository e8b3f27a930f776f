import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { parse as parseToml } from 'smol-toml'
import { Parser } from 'tar'
import { z } from 'zod'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import type { ResolveContext } from '../kind.ts'
import { checkBytes } from './file-content.ts'
import type { IndexFile } from './index-page.ts'
import { parseMetadata } from './metadata.ts'

export interface SourceDistribution {
  /** PKG-INFO, verbatim */
  metadata: string
  buildSystem: BuildSystem
}

/** `build-system` of pyproject.toml (PEP 518, PEP 517). */
export interface BuildSystem {
  /** requirements, as written */
  requires: string[]
  /** setuptools, of which old versions request `wheel` when they build */
  isSetuptools: boolean
}

const maxArchive = 256 << 20 /* bytes */
const maxUnpacked = 1 << 30 /* bytes */
const maxMember = 16 << 20 /* bytes */

/**
 * Reads PKG-INFO and pyproject.toml of a source distribution. Only one that declares its requirements static (core metadata 2.2, PEP 643)
 * can be resolved without running its code. Throws UNSUPPORTED for the others, UPSTREAM_INVALID, DIGEST_MISMATCH.
 */
export async function readSourceDistribution(
  file: IndexFile,
  { http }: ResolveContext,
): Promise<SourceDistribution> {
  const item = redactUrl(file.url)
  const unsupported = (what: string) =>
    new AirgapError('UNSUPPORTED', `a source distribution ${what}`, {
      item,
      likely: 'its requirements are only known after running its own code',
      next: 'choose a version that has a wheel, or build one and carry it from an index of your own',
    })
  if (!/\.tar\.gz$/.test(file.filename)) throw unsupported('is not a .tar.gz')
  const { bytes } = await http.get(file.url, { maxBytes: maxArchive, namedBy: file.namedBy })
  checkBytes(file, bytes)
  const { 'PKG-INFO': metadata, 'pyproject.toml': project } = await topFiles(bytes, {
    names: ['PKG-INFO', 'pyproject.toml'],
    item,
  })
  if (metadata === undefined) throw unsupported('has no PKG-INFO')
  const { metadataVersion, dynamic } = parseMetadata(metadata, item)
  const [major = 0, minor = 0] = metadataVersion.split('.').map(Number)
  if (major < 2 || (major === 2 && minor < 2)) throw unsupported('has metadata older than 2.2')
  if (dynamic.includes('requires-dist'))
    throw unsupported('has requirements that are computed when it is built')
  return { metadata, buildSystem: buildSystemOf(project, item) }
}

const pyprojectSchema = z.object({
  'build-system': z
    .object({ requires: z.array(z.string()), 'build-backend': z.string().optional() })
    .optional(),
})

/** pip's default where pyproject.toml is missing or names no build system (`load_pyproject_toml`). */
const defaultBuildSystem: BuildSystem = { requires: ['setuptools>=40.8.0'], isSetuptools: true }

function buildSystemOf(pyproject: string | undefined, item: string): BuildSystem {
  if (pyproject === undefined) return defaultBuildSystem
  let system: z.infer<typeof pyprojectSchema>['build-system']
  try {
    system = pyprojectSchema.parse(parseToml(pyproject))['build-system']
  } catch (error) {
    throw new AirgapError('UPSTREAM_INVALID', 'the pyproject.toml of a source distribution is invalid', {
      item,
      likely: 'a package made with broken tools: pip cannot build it either',
      next: 'choose another version of the package, with a constraint',
      cause: error,
    })
  }
  if (system === undefined) return defaultBuildSystem
  const backend = system['build-backend'] ?? 'setuptools.build_meta:__legacy__'
  return { requires: system.requires, isSetuptools: /^setuptools\b/.test(backend) }
}

/** Files of these names in `NAME-VERSION/`, no deeper. */
async function topFiles<const Name extends string>(
  archive: Buffer,
  { names, item }: { names: readonly Name[]; item: string },
): Promise<Partial<Record<Name, string>>> {
  const found: Partial<Record<Name, string>> = {}
  let unpacked = 0
  const nameOf = (path: string) => names.find(name => /^[^/]+\/([^/]+)$/.exec(path)?.[1] === name)
  const parser = new Parser({
    filter: path => nameOf(path) !== undefined,
    onReadEntry(entry) {
      const chunks: Buffer[] = []
      let size = 0
      entry.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= maxMember) chunks.push(chunk)
      })
      entry.on('end', () => {
        const name = nameOf(entry.path)
        if (name !== undefined) found[name] ??= Buffer.concat(chunks).toString('utf8')
      })
    },
  })
  try {
    for await (const chunk of Readable.from([archive]).pipe(createGunzip()) as AsyncIterable<Buffer>) {
      unpacked += chunk.length
      if (unpacked > maxUnpacked) throw new Error('unpacks to more than 1 GiB')
      if (!parser.write(chunk)) await new Promise(go => parser.once('drain', go))
    }
    await new Promise<void>((done, fail) => {
      parser.once('end', done)
      parser.once('error', fail)
      parser.end()
    })
  } catch (error) {
    throw new AirgapError('UPSTREAM_INVALID', 'a source distribution cannot be unpacked', {
      item,
      likely: 'a damaged file',
      next: 'choose another version of the package, with a constraint',
      cause: error,
    })
  }
  return found
}
