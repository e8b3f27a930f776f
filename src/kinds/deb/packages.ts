import { Readable } from 'node:stream'
import { type Packing, packings, unpack } from '../../content/unpack.ts'
import { Verifier } from '../../content/verify.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { Hasher, hexOf } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import type { ResolveContext } from '../kind.ts'
import type { Candidate } from './candidate.ts'
import { readStanzas, type Stanza, type StanzaPlace } from './control.ts'
import { isFlat } from './flat.ts'
import { type Release, type SuiteRequest, suiteUrl } from './release.ts'

/** Ubuntu's universe is 20 MB packed and 80 MB unpacked; nothing larger than these is a package index. */
const maxPacked = 256 * 1024 * 1024 /* bytes */
const maxUnpacked = 2 * 1024 * 1024 * 1024 /* bytes */

/** Returns all packages that a machine of `architecture` can install from the suite. */
export async function readPackages(
  request: SuiteRequest,
  { release, architecture }: { release: Release; architecture: string },
  context: ResolveContext,
): Promise<Candidate[]> {
  const candidates: Candidate[] = []
  if (isFlat(request.suite)) {
    const found = chooseFile(release, '')
    if (!found) throw noIndex(request, release, '')
    const index = await fetchIndex(request, { ...found, folder: '', release }, context)
    await parseIndex(index, { component: '', architecture, item: `${suiteUrl(request)}/Packages` }, context)
    return candidates
  }
  for (const component of request.components) {
    const folders = [`${component}/binary-${architecture}`]
    if (release.separateAll) folders.push(`${component}/binary-all`)
    for (const folder of folders) {
      const found = chooseFile(release, folder)
      if (!found && folder.endsWith('/binary-all')) continue
      if (!found) throw noIndex(request, release, folder)
      const index = await fetchIndex(request, { ...found, folder, release }, context)
      await parseIndex(
        index,
        { component, architecture, item: `${suiteUrl(request)}/${folder}/Packages` },
        context,
      )
    }
  }
  return candidates

  async function parseIndex(
    index: Descriptor,
    { component, architecture, item }: { component: string; architecture: string; item: string },
    { cache }: ResolveContext,
  ): Promise<void> {
    await readStanzas(await cache.open(index), {
      wanted,
      item,
      each(stanza, place) {
        const candidate = toCandidate(stanza, { index, place, component, item })
        // an index may also list packages of other architectures
        if (candidate.architecture === architecture || candidate.architecture === 'all')
          candidates.push(candidate)
      },
    })
  }
}

function indexFolder(request: SuiteRequest, folder: string): string {
  return folder === '' ? suiteUrl(request) : `${suiteUrl(request)}/${folder}`
}

interface ChosenFile {
  packing: Packing
  packed: Descriptor
  /** from the Release file; some archives list only the packed form */
  unpacked?: Descriptor
}

function chooseFile(release: Release, folder: string): ChosenFile | undefined {
  const listed = (name: string) =>
    folder === '' ? release.files.get(name) : release.files.get(`${folder}/${name}`)
  const unpacked = listed('Packages')
  for (const packing of packings) {
    const packed = listed(`Packages${packing}`)
    if (packed) return { packing, packed, ...(unpacked ? { unpacked } : {}) }
  }
  return undefined
}

/** Fetches the index into the cache, verifies it packed and unpacked, and returns the unpacked one. */
async function fetchIndex(
  request: SuiteRequest,
  file: ChosenFile & { folder: string; release: Release },
  context: ResolveContext,
): Promise<Descriptor> {
  const { packing, unpacked } = file
  if (unpacked && (await context.cache.exists(unpacked))) return unpacked
  const item = `${indexFolder(request, file.folder)}/Packages${packing}`
  for (const [size, limit] of [
    [file.packed.size, maxPacked],
    [unpacked?.size ?? 0, maxUnpacked],
  ] as const) {
    if (size > limit) {
      throw new AirgapError(
        'UPSTREAM_INVALID',
        `the package index has ${size} bytes, more than the ${limit} allowed`,
        {
          item,
          likely: 'not a package index',
          next: 'check archive: and suites: in the manifest',
        },
      )
    }
  }
  const packed = await fetchPacked(request, file, context)
  const stream = () => explainUnpackErrors(unpack(Readable.from([packed]), packing), item)
  const descriptor = unpacked ?? (await measure(stream(), { packed: packed.length, item }))
  try {
    await context.cache.push(descriptor, Readable.from(stream()))
  } catch (error) {
    throw isErrorCode(error, 'SIZE_MISMATCH', 'DIGEST_MISMATCH') ? unpacksToOther(error, item) : error
  }
  return descriptor
}

/** The packed bytes, verified before anything unpacks them. Fetched by hash where the archive supports it, because files under plain names get replaced. */
async function fetchPacked(
  request: SuiteRequest,
  { packing, packed, folder, release }: ChosenFile & { folder: string; release: Release },
  { http }: ResolveContext,
): Promise<Buffer> {
  const base = indexFolder(request, folder)
  const byName = `${base}/Packages${packing}`
  const options = { maxBytes: packed.size }
  if (!release.byHash) return verified((await http.get(byName, options)).bytes, packed, byName)
  const byHash = `${base}/by-hash/SHA256/${hexOf(packed.digest)}`
  try {
    return verified((await http.get(byHash, options)).bytes, packed, byHash)
  } catch (error) {
    // advertised but missing (a partial mirror): the plain name will do, the digest decides
    if (!isErrorCode(error, 'NOT_FOUND_UPSTREAM')) throw error
    return verified((await http.get(byName, options)).bytes, packed, byName)
  }
}

function verified(bytes: Buffer, descriptor: Descriptor, item: string): Buffer {
  const verifier = new Verifier(descriptor, item)
  verifier.update(bytes)
  verifier.finish()
  return bytes
}

/** Damage inside a packed file whose digest is right is the archive's: report it as such. */
async function* explainUnpackErrors(body: Readable, item: string): AsyncGenerator<Uint8Array> {
  try {
    yield* body as AsyncIterable<Uint8Array>
  } catch (error) {
    if (error instanceof AirgapError) throw error
    throw new AirgapError('UPSTREAM_INVALID', 'the package index cannot be unpacked', {
      item,
      likely: 'the archive published a damaged file, or one compressed with a dictionary over 64 MiB',
      next: 'report it to the maintainers of the archive, or use another mirror',
      cause: error,
    })
  } finally {
    body.destroy()
  }
}

function unpacksToOther(error: AirgapError, item: string): AirgapError {
  return new AirgapError(
    error.code,
    `the unpacked package index does not match the Release file: ${error.message}`,
    {
      item,
      likely: 'a decompression bomb, or an archive in the middle of an update',
      next: 'run the same command again in a few minutes; if the error remains, do not use this archive',
      cause: error,
    },
  )
}

/** Computes size and digest of the unpacked form where the Release file does not list it. */
async function measure(
  body: AsyncIterable<Uint8Array>,
  { packed, item }: { packed: number; item: string },
): Promise<Descriptor> {
  // indexes compress to a fifth; a hundredfold is a bomb
  const limit = Math.min(maxUnpacked, 100 * packed + 64 * 1024 * 1024)
  const hasher = new Hasher()
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > limit) {
      throw new AirgapError('SIZE_MISMATCH', `the package index unpacks to more than ${limit} bytes`, {
        item,
        likely: 'a decompression bomb',
        next: 'do not use this archive',
      })
    }
    hasher.update(chunk)
  }
  return { mediaType: mediaTypes.octets, digest: hasher.digest(), size }
}

const wanted = [
  'package',
  'version',
  'architecture',
  'filename',
  'size',
  'sha256',
  'essential',
  'priority',
  'multi-arch',
  'pre-depends',
  'depends',
  'recommends',
  'provides',
  'conflicts',
  'breaks',
  'suggests',
  'replaces',
  'enhances',
  'important',
  'protected',
  'source',
  'phased-update-percentage',
] as const

const priorities = ['required', 'important', 'standard', 'optional', 'extra']

/** As in apt: a missing priority ranks before all others, an unknown one is `extra`. */
function priorityOf(text: string | undefined): number {
  if (text === undefined) return 0
  return priorities.indexOf(text) + 1 || priorities.length
}

function toCandidate(
  stanza: Stanza,
  {
    index,
    place,
    component,
    item,
  }: { index: Descriptor; place: StanzaPlace; component: string; item: string },
): Candidate {
  const { package: name, version, architecture } = stanza
  if (!name || !version || !architecture) {
    throw new AirgapError('UPSTREAM_INVALID', 'a stanza lacks Package, Version or Architecture', {
      item: `${item} at byte ${place.offset}`,
      likely: 'an archive made with broken tools',
      next: 'report it to the maintainers of the archive',
    })
  }
  const multiArch = stanza['multi-arch']
  const candidate: Candidate = {
    name,
    version,
    architecture,
    source: 0,
    component,
    filename: stanza.filename ?? '',
    size: /^[0-9]{1,15}$/.test(stanza.size ?? '') ? Number(stanza.size) : -1,
    sha256: stanza.sha256?.toLowerCase() ?? '',
    essential: stanza.essential === 'yes',
    priority: priorityOf(stanza.priority),
    stanza: { index, offset: place.offset, length: place.length },
  }
  if (multiArch === 'same' || multiArch === 'foreign' || multiArch === 'allowed')
    candidate.multiArch = multiArch
  if (stanza.important === 'yes' || stanza.protected === 'yes') candidate.important = true
  if (stanza.source) candidate.builtFrom = stanza.source
  const phased = stanza['phased-update-percentage']
  if (phased !== undefined && /^[0-9]{1,2}$/.test(phased)) candidate.phased = Number(phased)
  if (stanza['pre-depends']) candidate.preDepends = stanza['pre-depends']
  if (stanza.depends) candidate.depends = stanza.depends
  if (stanza.recommends) candidate.recommends = stanza.recommends
  if (stanza.provides) candidate.provides = stanza.provides
  if (stanza.conflicts) candidate.conflicts = stanza.conflicts
  if (stanza.breaks) candidate.breaks = stanza.breaks
  if (stanza.suggests) candidate.suggests = stanza.suggests
  if (stanza.replaces) candidate.replaces = stanza.replaces
  if (stanza.enhances) candidate.enhances = stanza.enhances
  return candidate
}

function noIndex(request: SuiteRequest, release: Release, folder: string): AirgapError {
  return new AirgapError(
    'UNRESOLVABLE',
    `the suite ${request.suite} has no ${folder === '' ? '' : `${folder}/`}Packages`,
    {
      item: request.at,
      likely: `available components: ${release.components.join(', ') || '(none)'} for ${release.architectures.join(', ') || '(none)'}`,
      next: 'correct components: or architectures: in the manifest',
    },
  )
}
