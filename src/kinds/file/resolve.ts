import { digestFromHex } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { fetchOnce } from '../../remote/fetch-once.ts'
import type { ResolveContext } from '../kind.ts'
import type { FileRequest } from './entry.ts'
import type { LockedFile } from './locked.ts'

/** With a checksum only the size is queried; without one the file is fetched now and trusted on first use. Throws DIGEST_MISMATCH. */
export async function resolveFile(request: FileRequest, context: ResolveContext): Promise<LockedFile> {
  const { url, path, executable, sha256 } = request
  const common = { name: path, url, executable }
  if (sha256 !== undefined) {
    const size = await context.http.size(url)
    if (size !== undefined) return { ...common, digest: digestFromHex(sha256), size }
  }
  const found = await fetchOnce(url, context)
  if (sha256 === undefined) return { ...common, ...found, firstUse: true }
  if (found.digest === digestFromHex(sha256)) return { ...common, ...found }
  throw new AirgapError('DIGEST_MISMATCH', `the file has ${found.digest}, not sha256:${sha256}`, {
    item: `${redactUrl(url)} (${request.at})`,
    likely: 'the checksum is of another version, or the file was replaced',
    next: 'compare with the checksum that the publisher announces; do not accept the new one unseen',
  })
}
