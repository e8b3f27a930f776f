import { Readable } from 'node:stream'
import { type Packing, packings, unpack } from '../../content/unpack.ts'
import { Verifier } from '../../content/verify.ts'
import { defined } from '../../core/defined.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { Hasher, hexOf } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import type { ResolveContext } from '../kind.ts'
import { type Release, type SuiteRequest, suiteUrl } from './release.ts'

/** Ubuntu's universe is 20 MB packed and 80 MB unpacked; nothing larger than these is a package index. */
const maxPacked = 256 * 1024 * 1024 /* bytes */
const maxUnpacked = 2 * 1024 * 1024 * 1024 /* bytes */

interface IndexFile {
  packing: Packing
  packed: Descriptor
  /** from the Release file; some archives list only the packed form */
  unpacked?: Descriptor
}

/** Compressions that apt knows and that have no maintained library for Node.js. */
const unsupported = ['.lzma', '.lz4'] as const

/** Whether the Release file lists `FOLDER/Packages`, in any compression. */
export function isListed(release: Release, folder: string): boolean {
  return [...packings, ...unsupported].some(packing => release.files.has(pathIn(folder, packing)))
}

/** The address of an index for messages, without its compression. */
export function indexName(request: SuiteRequest, folder: string): string {
  return `${suiteUrl(request)}/${pathIn(folder, '')}`
}

function pathIn(folder: string, packing: string): string {
  return `${folder === '' ? '' : `${folder}/`}Packages${packing}`
}

/**
 * Fetches the index into the cache, verifies it packed and unpacked, and returns the unpacked one. Like apt, tries one
 * compression after another: a server need not have all that its Release file lists. A wrong digest stops at once.
 */
export async function fetchIndex(
  request: SuiteRequest,
  { folder, release }: { folder: string; release: Release },
  context: ResolveContext,
): Promise<Descriptor> {
  const unpacked = release.files.get(pathIn(folder, ''))
  if (unpacked && (await context.cache.exists(unpacked))) return unpacked
  if (unpacked?.size === 0) {
    // apt does not request an empty index, and many archives do not have the file
    await context.cache.push(unpacked, Readable.from([]))
    return unpacked
  }
  const files = packings.flatMap((packing): IndexFile[] => {
    const packed = release.files.get(pathIn(folder, packing))
    return packed ? [{ packing, packed, ...defined({ unpacked }) }] : []
  })
  const failures: AirgapError[] = []
  for (const file of files) {
    try {
      return await fetchAs(request, { ...file, folder, release }, context)
    } catch (error) {
      if (!isErrorCode(error, ...failedFetch, 'UPSTREAM_INVALID')) throw error
      failures.push(error)
    }
  }
  throw noUsableIndex(indexName(request, folder), { folder, release, failures })
}

/**
 * A file that could not be had; 500 and 503 are among NETWORK. With a captive portal, a wrong certificate or a wrong digest,
 * nothing else is tried.
 */
const failedFetch = ['NOT_FOUND_UPSTREAM', 'UNAUTHORIZED', 'UPSTREAM', 'REDIRECT_REFUSED', 'NETWORK'] as const

/** The most telling failure; it also names a compression that might have worked, but not here. */
function noUsableIndex(
  item: string,
  { folder, release, failures }: { folder: string; release: Release; failures: AirgapError[] },
): AirgapError {
  const [failure = undefined] = [
    ...failures.filter(({ code }) => code !== 'NOT_FOUND_UPSTREAM'),
    ...failures.toReversed(),
  ]
  const other = unsupported.find(packing => release.files.has(pathIn(folder, packing)))
  if (other === undefined && failure !== undefined) return failure
  return new AirgapError('UNSUPPORTED', `the package index is available only as Packages${other}`, {
    item,
    likely: `airgap reads ${packings.filter(Boolean).join(', ')} and uncompressed indexes`,
    next: 'use another mirror of this archive, or ask its maintainers to publish Packages.xz or Packages.gz',
    cause: failure,
  })
}

async function fetchAs(
  request: SuiteRequest,
  file: IndexFile & { folder: string; release: Release },
  context: ResolveContext,
): Promise<Descriptor> {
  const { packing, unpacked } = file
  const item = `${suiteUrl(request)}/${pathIn(file.folder, packing)}`
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
  const packed = await fetchPacked(item, file, context)
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
  byName: string,
  { packed, release }: { packed: Descriptor; release: Release },
  { http }: ResolveContext,
): Promise<Buffer> {
  const options = { maxBytes: packed.size, tooLargeIs: 'SIZE_MISMATCH' } as const
  if (release.byHash) {
    const byHash = `${byName.slice(0, byName.lastIndexOf('/'))}/by-hash/SHA256/${hexOf(packed.digest)}`
    try {
      return verified((await http.get(byHash, options)).bytes, packed, byHash)
    } catch (error) {
      // advertised but missing (a partial mirror; object stores answer 403): the plain name will do, the digest decides
      if (!isErrorCode(error, ...failedFetch)) throw error
    }
  }
  return verified((await http.get(byName, options)).bytes, packed, byName)
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
