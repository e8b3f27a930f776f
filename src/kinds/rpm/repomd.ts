import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { SaxesParser } from 'saxes'
import { collect } from '../../content/read.ts'
import { type Packing, unpack } from '../../content/unpack.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { digestFromHex, Hasher } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { redactUrl } from '../../core/redact.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import { readPublicKeys, verifyDetached } from '../../openpgp/verify.ts'
import type { ResolveContext } from '../kind.ts'
import type { RpmRepository } from './entry.ts'

/** One list of a repository, as repomd.xml names it. */
export interface RepomdEntry {
  type: string
  location: string
  checksum: { type: string; hex: string }
  openChecksum?: { type: string; hex: string }
  /** bytes, where it says */
  size?: number
  openSize?: number
}

const maxRepomd = 4 << 20 /* bytes */
const maxSignature = 1 << 20 /* bytes */
const maxPacked = 512 << 20 /* bytes */
const maxUnpacked = 4 * 2 ** 30 /* bytes */
/** SHA-1 and MD5 are broken: what names content by them names nothing (fault 45). */
const strong = ['sha256', 'sha384', 'sha512']

/** Fetches repomd.xml, checks who signed it, and gives its entries by type. */
export async function fetchRepomd(
  repository: RpmRepository,
  { at, context }: { at: string; context: ResolveContext },
): Promise<Map<string, RepomdEntry>> {
  const url = `${repository.baseurl}/repodata/repomd.xml`
  const { bytes } = await context.http.get(url, { maxBytes: maxRepomd })
  if (repository.metadata === 'signed') await checkSignature(bytes, { repository, url, at, context })
  return parseRepomd(bytes.toString('utf8'), url)
}

async function checkSignature(
  bytes: Buffer,
  options: { repository: RpmRepository; url: string; at: string; context: ResolveContext },
): Promise<void> {
  const { repository, url, at, context } = options
  let signature: Buffer
  try {
    signature = (await context.http.get(`${url}.asc`, { maxBytes: maxSignature })).bytes
  } catch (error) {
    if (!isErrorCode(error, 'NOT_FOUND_UPSTREAM')) throw error
    throw new AirgapError(
      'SIGNATURE_INVALID',
      'the list of packages is not signed: there is no repomd.xml.asc',
      {
        item: `${redactUrl(url)} (${at})`,
        likely: 'someone stripped the signature, or the publisher signs packages only, as EPEL does',
        next: 'if the publisher signs packages only, write `metadata: unsigned` at this repository: each package is checked all the same',
        cause: error,
      },
    )
  }
  const keys = await readPublicKeys(repository.keys)
  await verifyDetached(bytes, signature, { keys, now: context.now(), item: redactUrl(url) })
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
    else if (name === 'location') entry.location = attributes['href'] ?? ''
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
  if (!entries.has('primary')) throw malformed('it names no primary list', item)
  return entries
}

function complete(entry: Partial<RepomdEntry>, item: string): RepomdEntry {
  const { type = '', location, checksum } = entry
  if (location === undefined || checksum === undefined)
    throw malformed(`${type} has no location or no checksum`, item)
  return { ...entry, type, checksum, location: safeRelativePath(location, 'UPSTREAM_INVALID') }
}

/**
 * XML without surprises (fault 48): a document type is refused before anything in it is read, so that there are no entities but
 * XML's own five; what is not well-formed is an error.
 */
export function strictParser(item: string, options: { doctype?: 'ignored' } = {}): SaxesParser {
  const parser = new SaxesParser({})
  parser.on('doctype', text => {
    // comps.xml has one, by tradition; a subset of its own, which could define entities, none has
    if (options.doctype !== 'ignored' || text.includes('[')) throw malformed('it has a document type', item)
  })
  parser.on('error', error => {
    throw malformed(error.message.slice(0, 200), item, error)
  })
  return parser
}

/** The unpacked list, in the cache under its own digest. Verified packed, before anything unpacks it, and unpacked. */
export async function fetchList(
  repository: RpmRepository,
  { entry, context }: { entry: RepomdEntry; context: ResolveContext },
): Promise<Descriptor> {
  const url = `${repository.baseurl}/${entry.location}`
  const item = redactUrl(url)
  const { openChecksum, openSize } = entry
  const known =
    openChecksum?.type === 'sha256' && openSize !== undefined && /^[0-9a-f]{64}$/.test(openChecksum.hex)
      ? { mediaType: mediaTypes.octets, digest: digestFromHex(openChecksum.hex), size: openSize }
      : undefined
  if (known !== undefined && (await context.cache.exists(known))) return known
  for (const { type } of openChecksum === undefined ? [entry.checksum] : [entry.checksum, openChecksum]) {
    if (strong.includes(type)) continue
    throw new AirgapError('UPSTREAM_INVALID', `a list of packages is named by ${type || 'no'} checksum`, {
      item,
      likely: 'a repository made with very old tools (createrepo with --checksum sha)',
      next: 'use a repository with SHA-256 or stronger, or have this one made anew with createrepo_c',
    })
  }
  const maxBytes = Math.min(entry.size ?? maxPacked, maxPacked)
  const { bytes } = await context.http.get(url, { maxBytes })
  checkBytes(bytes, { entry, item })
  const stream = () =>
    bounded(unpack(Readable.from([bytes]), packingOf(entry.location, item)), {
      limit: openSize ?? Math.min(maxUnpacked, bytes.length * 100 + (64 << 20)),
      item,
    })
  const descriptor = known ?? (await measured(stream()))
  await context.cache.push(descriptor, Readable.from(stream()))
  return descriptor
}

function checkBytes(bytes: Buffer, { entry, item }: { entry: RepomdEntry; item: string }): void {
  const { type, hex } = entry.checksum
  const actual = createHash(type).update(bytes).digest('hex')
  if (actual === hex && (entry.size === undefined || entry.size === bytes.length)) return
  throw new AirgapError('DIGEST_MISMATCH', 'a list of packages is not what repomd.xml says', {
    item,
    likely: 'a mirror that was caught in the middle of an update, or someone who changed it',
    next: 'run the same command again in some minutes, or use another mirror',
  })
}

function packingOf(location: string, item: string): Packing {
  const packings: Record<string, Packing> = { gz: '.gz', xz: '.xz', zst: '.zst', xml: '', yaml: '' }
  const suffix = location.slice(location.lastIndexOf('.') + 1)
  if (Object.hasOwn(packings, suffix)) return packings[suffix]!
  throw new AirgapError('UNSUPPORTED', `a list of packages is packed as .${suffix}`, {
    item,
    next: 'use a repository whose lists are packed as gz, xz or zst',
  })
}

/** Fault 36: no more than what it says, or than any list would have. */
async function* bounded(
  body: Readable,
  { limit, item }: { limit: number; item: string },
): AsyncGenerator<Uint8Array> {
  let size = 0
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.length
      if (size > limit) {
        throw new AirgapError('SIZE_MISMATCH', `a list of packages unpacks to more than ${limit} bytes`, {
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

/** A small list as text. */
export async function listText(descriptor: Descriptor, context: ResolveContext): Promise<string> {
  const bytes = await collect(await context.cache.open(descriptor), 64 << 20)
  return bytes.toString('utf8')
}

export function malformed(why: string, item: string, cause?: unknown): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the metadata of a repository is malformed: ${why}`, {
    item,
    likely: 'a repository made with broken tools, a page of a proxy, or someone who changed it',
    next: 'look at the address in a browser, or use another mirror',
    cause,
  })
}
