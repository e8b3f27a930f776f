import { digestOf, hexOf } from '../../core/digest.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import type { ResolveContext } from '../kind.ts'
import type { IndexFile } from './index-page.ts'
import { type CoreMetadata, parseMetadata } from './metadata.ts'
import { normalizeProject } from './requirement.ts'
import { parseWheelName } from './tags.ts'
import { readFromZip } from './zip.ts'

const maxMetadata = 16 << 20 /* bytes */
const maxWheel = 1 << 30 /* bytes, where a server gives no parts */

/** Separate metadata with its digest where the index has it (PEP 658), otherwise from the wheel itself. */
export async function wheelMetadata(file: IndexFile, context: ResolveContext): Promise<string> {
  const { sha256 } = file.metadata ?? {}
  const bytes = sha256 === undefined ? undefined : await separateMetadata(file, context)
  if (bytes === undefined) return await metadataInWheel(file, context)
  if (hexOf(digestOf(bytes)) === sha256) return bytes.toString('utf8')
  throw new AirgapError('DIGEST_MISMATCH', 'the metadata of a wheel does not match the index', {
    item: `${redactUrl(file.url)}.metadata`,
    likely: 'damage in transit, or tampering',
    next: 'try again, if necessary from another network; if the error remains, do not use this index',
  })
}

/** Mirrors that copy pages and wheels only list metadata that they do not have: undefined. */
async function separateMetadata(file: IndexFile, { http }: ResolveContext): Promise<Buffer | undefined> {
  const url = new URL(file.url)
  url.pathname += '.metadata'
  try {
    return (await http.get(url.href, { maxBytes: maxMetadata, namedBy: file.namedBy })).bytes
  } catch (error) {
    if (isErrorCode(error, 'NOT_FOUND_UPSTREAM', 'UNAUTHORIZED')) return undefined
    throw error
  }
}

/** METADATA of a wheel, read by ranges; the whole wheel where the server does not support them. */
export async function metadataInWheel(file: IndexFile, { http }: ResolveContext): Promise<string> {
  const item = redactUrl(file.url)
  /** the archive, where the server does not support ranges */
  const kept: { whole: Buffer | undefined } = { whole: undefined }
  const part = async (range: string): Promise<{ bytes: Buffer; size?: number }> => {
    const { bytes, headers } = await http.get(file.url, {
      maxBytes: maxWheel,
      namedBy: file.namedBy,
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
