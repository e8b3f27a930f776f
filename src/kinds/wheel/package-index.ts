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

/** The indexes of one entry: pages and metadata are fetched once, whoever asks. */
export interface PackageIndex {
  /** Files of a project in the first index that has it; empty where none has. */
  files(project: string): Promise<IndexFile[]>
  /** Core metadata word for word, with what resolving needs of it. Throws UPSTREAM_INVALID, DIGEST_MISMATCH. */
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
  // who waits for it hears of it; prefetched and never asked for, it is nobody's
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

/** What the index gives apart, with its digest; else out of the wheel itself. */
async function wheelMetadata(file: IndexFile, context: ResolveContext): Promise<string> {
  const { sha256 } = file.metadata ?? {}
  if (sha256 === undefined) return await metadataInWheel(file, context)
  const { bytes } = await context.http.get(`${file.url}.metadata`, { maxBytes: maxMetadata })
  if (hexOf(digestOf(bytes)) === sha256) return bytes.toString('utf8')
  throw new AirgapError('DIGEST_MISMATCH', 'the metadata of a wheel is not what the index says', {
    item: `${redactUrl(file.url)}.metadata`,
    likely: 'damaged on its way, or someone changed it',
    next: 'try again, from another network if need be; do not use this index if it stays so',
  })
}

/** METADATA of a wheel, by parts of it; whole where the server gives no parts. */
export async function metadataInWheel(file: IndexFile, { http }: ResolveContext): Promise<string> {
  const item = redactUrl(file.url)
  /** the archive, where the server gives no parts */
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
        // a server that gives parts once may give all the next time
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
 * A wheel that was chosen: what its own METADATA says has to be what was resolved with (fault 52). An index that gives other
 * metadata than the wheel has would make the closure a lie.
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
  throw new AirgapError('UPSTREAM_INVALID', 'the metadata of a wheel is not that of the wheel itself', {
    item,
    likely: 'an index that was tampered with, or made with broken tools',
    next: 'choose another version of the package with a constraint, and report it to whoever runs the index',
  })
}
