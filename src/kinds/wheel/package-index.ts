import { digestOf, hexOf } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import type { ResolveContext } from '../kind.ts'
import { type IndexFile, parseProjectPage } from './index-page.ts'
import { type CoreMetadata, parseMetadata } from './metadata.ts'
import { normalizeProject } from './requirement.ts'
import { readSourceMetadata } from './source-distribution.ts'
import { parseWheelName } from './tags.ts'
import { readFromZip } from './zip.ts'

/** The indexes of one entry. Pages and metadata are fetched once. */
export interface PackageIndex {
  /** Files of a project in the first index that has it; empty where none has. */
  files(project: string): Promise<IndexFile[]>
  /** Core metadata, verbatim and parsed. Throws UPSTREAM_INVALID, DIGEST_MISMATCH. */
  metadata(file: IndexFile): Promise<{ text: string; parsed: CoreMetadata }>
}

const maxPage = 128 << 20 /* bytes */
const maxMetadata = 16 << 20 /* bytes */

/** PEP 691, "Version + format selection" */
const accept = [
  'application/vnd.pypi.simple.v1+json',
  'application/vnd.pypi.simple.v1+html;q=0.2',
  'text/html;q=0.1',
].join(', ')

export function openIndex(indexes: readonly string[], context: ResolveContext): PackageIndex {
  const pages = new Map<string, Promise<IndexFile[]>>()
  const known = new Map<string, Promise<{ text: string; parsed: CoreMetadata }>>()
  return {
    files: project => once(pages, project, () => projectFiles(project, { indexes, context })),
    metadata: file => once(known, file.url, () => fileMetadata(file, context)),
  }
}

function once<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = known.get(key)
  if (found !== undefined) return found
  const made = make()
  // the caller that awaits it gets the error; without one, a failed prefetch does not matter
  made.catch(() => undefined)
  known.set(key, made)
  return made
}

async function projectFiles(
  project: string,
  { indexes, context }: { indexes: readonly string[]; context: ResolveContext },
): Promise<IndexFile[]> {
  for (const index of indexes) {
    const url = `${index.replace(/\/*$/, '/')}${project}/`
    try {
      const page = await context.http.get(url, { maxBytes: maxPage, headers: { accept } })
      return parseProjectPage(page.bytes.toString('utf8'), {
        url,
        mediaType: page.headers['content-type'] ?? '',
      })
    } catch (error) {
      if (!isErrorCode(error, 'NOT_FOUND_UPSTREAM')) throw error
    }
  }
  return []
}

async function fileMetadata(
  file: IndexFile,
  context: ResolveContext,
): Promise<{ text: string; parsed: CoreMetadata }> {
  const item = redactUrl(file.url)
  const text = parseWheelName(file.filename)
    ? await wheelMetadata(file, context)
    : await readSourceMetadata(file, context)
  return { text, parsed: parseMetadata(text, item) }
}

/** Separate metadata with its digest where the index has it (PEP 658), otherwise from the wheel itself. */
async function wheelMetadata(file: IndexFile, context: ResolveContext): Promise<string> {
  const { sha256 } = file.metadata ?? {}
  if (sha256 === undefined) return await metadataInWheel(file, context)
  const { bytes } = await context.http.get(`${file.url}.metadata`, { maxBytes: maxMetadata })
  if (hexOf(digestOf(bytes)) === sha256) return bytes.toString('utf8')
  throw new AirgapError('DIGEST_MISMATCH', 'the metadata of a wheel does not match the index', {
    item: `${redactUrl(file.url)}.metadata`,
    likely: 'damage in transit, or tampering',
    next: 'try again, if necessary from another network; if the error remains, do not use this index',
  })
}

/** METADATA of a wheel, read by ranges; the whole wheel where the server does not support them. */
export async function metadataInWheel(file: IndexFile, { http }: ResolveContext): Promise<string> {
  const item = redactUrl(file.url)
  /** the archive, where the server does not support ranges */
  const kept: { whole: Buffer | undefined } = { whole: undefined }
  const part = async (range: string): Promise<{ bytes: Buffer; size?: number }> => {
    const { bytes, headers } = await http.get(file.url, {
      maxBytes: maxWheel,
      headers: { range: `bytes=${range}` },
    })
    const [, start, size] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers['content-range'] ?? '') ?? []
    if (start === undefined) {
      kept.whole = bytes
      return { bytes, size: bytes.length }
    }
    return { bytes, size: Number(size) }
  }
  const tail = await part('-65558')
  const size = tail.size ?? tail.bytes.length
  const tailStart = size - tail.bytes.length
  const content = await readFromZip(
    {
      size,
      async read(start, end) {
        const whole = kept.whole
        if (whole !== undefined) return whole.subarray(start, end)
        if (start >= tailStart) return tail.bytes.subarray(start - tailStart, end - tailStart)
        const found = await part(`${start}-${end - 1}`)
        // a server that answered one range may send everything the next time
        return found.bytes.length === found.size ? found.bytes.subarray(start, end) : found.bytes
      },
    },
    { item, isWanted: name => /^[^/]+\.dist-info\/METADATA$/.test(name) },
  )
  if (content !== undefined) return content.toString('utf8')
  throw new AirgapError('UPSTREAM_INVALID', 'a wheel has no metadata', {
    item,
    likely: 'not a wheel',
    next: 'choose another version of the package, with a constraint',
  })
}

const maxWheel = 1 << 30 /* bytes, where a server gives no parts */

/**
 * Checks that a chosen wheel's own METADATA is the one that was resolved with (fault 52): an index with other metadata would
 * make the closure wrong.
 */
export async function checkOwnMetadata(
  file: IndexFile,
  { used, context }: { used: CoreMetadata; context: ResolveContext },
): Promise<void> {
  const item = redactUrl(file.url)
  const own = parseMetadata(await metadataInWheel(file, context), item)
  const requires = (metadata: CoreMetadata) =>
    metadata.requires
      .map(one => one.text)
      .sort()
      .join('\n')
  const name = parseWheelName(file.filename)
  const same =
    own.project === used.project &&
    own.version === used.version &&
    requires(own) === requires(used) &&
    own.project === normalizeProject(name?.project ?? '')
  if (same) return
  throw new AirgapError('UPSTREAM_INVALID', 'the index has other metadata than the wheel itself', {
    item,
    likely: 'an index that was tampered with, or made with broken tools',
    next: 'choose another version of the package with a constraint, and report it to the maintainers of the index',
  })
}
