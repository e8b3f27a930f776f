import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { collect } from '../../content/read.ts'
import { type Packing, unpack } from '../../content/unpack.ts'
import { defined } from '../../core/defined.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { digestFromHex, Hasher } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { redactUrl } from '../../core/redact.ts'
import { readPublicKeys, verifyDetached } from '../../openpgp/verify.ts'
import type { ResolveContext } from '../kind.ts'
import type { RpmRepository } from './entry.ts'
import { placeOfList, urlsOf } from './location.ts'
import { malformed, strictParser } from './strict-xml.ts'
import { getFile, type Upstream } from './upstream.ts'

/** One metadata file of a repository, as listed in repomd.xml. */
export interface RepomdEntry {
  type: string
  /** `href` and `xml:base` of its location, as written */
  location: { href: string; base?: string }
  checksum: { type: string; hex: string }
  openChecksum?: { type: string; hex: string }
  /** bytes, where given */
  size?: number
  openSize?: number
}

const maxRepomd = 4 << 20 /* bytes */
const maxSignature = 1 << 20 /* bytes */
const maxPacked = 512 << 20 /* bytes */
const maxUnpacked = 4 * 2 ** 30 /* bytes */
/** SHA-1 and MD5 are broken and do not identify content (fault 45). */
const strong = ['sha256', 'sha384', 'sha512']

/** Fetches repomd.xml, checks its signature, and returns its entries by type, with the fingerprint of the key that signed it and the mirror that has it. */
export async function fetchRepomd(
  upstream: Upstream,
  { repository, at, context }: { repository: RpmRepository; at: string; context: ResolveContext },
): Promise<{ entries: Map<string, RepomdEntry>; signedBy: string | undefined; base: string }> {
  let signedBy: string | undefined
  const { bytes, url, base } = await getFile(
    upstream,
    { below: 'repodata/repomd.xml' },
    {
      maxBytes: maxRepomd,
      tooLargeIs: 'UPSTREAM_INVALID',
      context,
      check: async (answer, from) => {
        checkListed(answer, { upstream, item: redactUrl(from) })
        if (repository.metadata === 'signed')
          signedBy = await checkSignature(answer, { repository, url: from, at, context })
      },
    },
  )
  return { entries: parseRepomd(bytes.toString('utf8'), url), signedBy, base }
}

/** A metalink has the digests of the present repomd.xml and of recent ones: a mirror that has another one is out of date, or lies. */
function checkListed(bytes: Buffer, { upstream, item }: { upstream: Upstream; item: string }): void {
  const { digests = [] } = upstream
  if (digests.length === 0) return
  if (digests.some(({ type, hex }) => createHash(type).update(bytes).digest('hex') === hex)) return
  throw new AirgapError('DIGEST_MISMATCH', 'repomd.xml is not the one that the metalink describes', {
    item,
    likely: 'the mirror is out of date or in the middle of an update, or it was tampered with',
    next: 'run the same command again in a few minutes, or name a mirror with `baseurl:`',
  })
}

async function checkSignature(
  bytes: Buffer,
  options: { repository: RpmRepository; url: string; at: string; context: ResolveContext },
): Promise<string> {
  const { repository, url, at, context } = options
  let signature: Buffer
  try {
    signature = (
      await context.http.get(`${url}.asc`, { maxBytes: maxSignature, tooLargeIs: 'UPSTREAM_INVALID' })
    ).bytes
  } catch (error) {
    if (!isErrorCode(error, 'NOT_FOUND_UPSTREAM')) throw error
    throw new AirgapError(
      'SIGNATURE_INVALID',
      'the repository metadata is not signed: there is no repomd.xml.asc',
      {
        item: `${redactUrl(url)} (${at})`,
        likely: 'the signature was stripped, or the publisher signs only packages, as EPEL does',
        next: 'if the publisher signs only packages, set `metadata: unsigned` for this repository: each package is still checked',
        cause: error,
      },
    )
  }
  const keys = await readPublicKeys(repository.keys)
  const { fingerprint } = await verifyDetached(bytes, signature, {
    keys,
    now: context.now(),
    item: redactUrl(url),
  })
  return fingerprint
}

export function parseRepomd(text: string, url: string): Map<string, RepomdEntry> {
  const item = redactUrl(url)
  const entries = new Map<string, RepomdEntry>()
  let entry: Partial<RepomdEntry> & { type?: string } = {}
  let checksumType = ''
  let content = ''
  const parser = strictParser(item)
  parser.on('opentag', ({ name, attributes }) => {
    content = ''
    if (name === 'data') entry = { type: attributes['type'] ?? '' }
    else if (name === 'checksum' || name === 'open-checksum') checksumType = attributes['type'] ?? ''
    else if (name === 'location')
      entry.location = { href: attributes['href'] ?? '', ...defined({ base: attributes['xml:base'] }) }
  })
  parser.on('text', part => {
    content += part
  })
  parser.on('closetag', ({ name }) => {
    const written = content.trim()
    if (name === 'checksum') entry.checksum = { type: checksumType, hex: written.toLowerCase() }
    else if (name === 'open-checksum') entry.openChecksum = { type: checksumType, hex: written.toLowerCase() }
    else if (name === 'size' && /^\d{1,15}$/.test(written)) entry.size = Number(written)
    else if (name === 'open-size' && /^\d{1,15}$/.test(written)) entry.openSize = Number(written)
    else if (name === 'data' && entry.type) entries.set(entry.type, complete(entry, item))
    content = ''
  })
  parser.write(text).close()
  if (!entries.has('primary')) throw malformed('it lists no primary metadata', item)
  return entries
}

function complete(entry: Partial<RepomdEntry>, item: string): RepomdEntry {
  const { type = '', location, checksum } = entry
  if (location === undefined || checksum === undefined)
    throw malformed(`${type} has no location or no checksum`, item)
  return { ...entry, type, checksum, location }
}

/**
 * Fetches a metadata file into the cache under its unpacked digest; verifies it packed, before unpacking, and unpacked. Where it is not in the
 * cache, `each` gets its parts on the way there.
 */
export async function fetchList(
  upstream: Upstream,
  { entry, each, context }: { entry: RepomdEntry; each?: ListReader | undefined; context: ResolveContext },
): Promise<Descriptor> {
  const place = placeOfList(entry.location, upstream)
  if ('refused' in place) throw malformed(`${entry.type}: ${place.refused}`, upstream.name)
  const item = redactUrl(urlsOf(upstream.bases, place)[0]!)
  const { openChecksum, openSize } = entry
  const known =
    openChecksum?.type === 'sha256' && openSize !== undefined && /^[0-9a-f]{64}$/.test(openChecksum.hex)
      ? { mediaType: mediaTypes.octets, digest: digestFromHex(openChecksum.hex), size: openSize }
      : undefined
  if (known !== undefined && (await context.cache.exists(known))) return known
  for (const { type } of openChecksum === undefined ? [entry.checksum] : [entry.checksum, openChecksum]) {
    if (strong.includes(type)) continue
    throw new AirgapError(
      'UPSTREAM_INVALID',
      type
        ? `the repository metadata uses a weak checksum (${type})`
        : 'the repository metadata has no checksum',
      {
        item,
        likely: 'a repository made with very old tools (createrepo with --checksum sha)',
        next: 'use a repository with SHA-256 or stronger, or ask its maintainers to recreate it with createrepo_c',
      },
    )
  }
  const maxBytes = Math.min(entry.size ?? maxPacked, maxPacked)
  const { bytes } = await getFile(upstream, place, {
    maxBytes,
    // repomd.xml, which is verified, states the size
    ...(entry.size === maxBytes && { tooLargeIs: 'SIZE_MISMATCH' as const }),
    context,
    check: (answer, url) => checkBytes(answer, { entry, item: redactUrl(url) }),
  })
  const stream = () =>
    bounded(unpack(Readable.from([bytes]), packingOf(entry.location.href, item)), {
      limit: openSize ?? Math.min(maxUnpacked, bytes.length * 100 + (64 << 20)),
      item,
    })
  const descriptor = known ?? (await measured(stream()))
  const body = each === undefined ? stream() : passed(stream(), each)
  await context.cache.push(descriptor, Readable.from(body))
  return descriptor
}

/** Reads a list in parts. */
export interface ListReader {
  write(chunk: Uint8Array): void
}

async function* passed(chunks: AsyncIterable<Uint8Array>, { write }: ListReader): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    write(chunk)
    yield chunk
  }
}

function checkBytes(bytes: Buffer, { entry, item }: { entry: RepomdEntry; item: string }): void {
  const { type, hex } = entry.checksum
  const actual = createHash(type).update(bytes).digest('hex')
  if (actual === hex && (entry.size === undefined || entry.size === bytes.length)) return
  throw new AirgapError('DIGEST_MISMATCH', 'repository metadata does not match repomd.xml', {
    item,
    likely: 'a mirror in the middle of an update, or tampering',
    next: 'run the same command again in a few minutes, or use another mirror',
  })
}

function packingOf(location: string, item: string): Packing {
  const packings: Record<string, Packing> = { gz: '.gz', xz: '.xz', zst: '.zst', bz2: '.bz2' }
  const suffix = location.slice(location.lastIndexOf('.') + 1)
  if (Object.hasOwn(packings, suffix)) return packings[suffix]!
  // as libsolv: the content of every other name is taken as it is
  if (suffix !== 'lzma' && suffix !== 'zck') return ''
  throw new AirgapError('UNSUPPORTED', `repository metadata is compressed as .${suffix}`, {
    item,
    next: 'use a repository whose metadata is compressed as gz, xz, zst or bz2',
  })
}

/** Limits unpacking to the stated size, or to more than any real metadata has (fault 36). */
async function* bounded(
  body: Readable,
  { limit, item }: { limit: number; item: string },
): AsyncGenerator<Uint8Array> {
  let size = 0
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.length
      if (size > limit) {
        throw new AirgapError('SIZE_MISMATCH', `repository metadata unpacks to more than ${limit} bytes`, {
          item,
          likely: 'a decompression bomb',
          next: 'do not use this repository',
        })
      }
      yield chunk
    }
  } catch (error) {
    if (error instanceof AirgapError) throw error
    throw malformed('it cannot be unpacked', item, error)
  } finally {
    body.destroy()
  }
}

async function measured(body: AsyncIterable<Uint8Array>): Promise<Descriptor> {
  const hasher = new Hasher()
  let size = 0
  for await (const chunk of body) {
    hasher.update(chunk)
    size += chunk.length
  }
  return { mediaType: mediaTypes.octets, digest: hasher.digest(), size }
}

/** A small metadata file as text. */
export async function listText(descriptor: Descriptor, context: ResolveContext): Promise<string> {
  const bytes = await collect(await context.cache.open(descriptor), 64 << 20)
  return bytes.toString('utf8')
}
