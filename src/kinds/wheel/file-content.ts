import { createHash } from 'node:crypto'
import { hexOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { redactUrl } from '../../core/redact.ts'
import { fetchOnce } from '../../remote/fetch-once.ts'
import type { ResolveContext } from '../kind.ts'
import { type FileHash, fileHash, type HashAlgorithm } from './file-hash.ts'
import type { IndexFile } from './index-page.ts'

/** A file that was fetched while locking; it stays in the cache for the build. */
export interface FileContent {
  /** sha256, and every algorithm that vouches for a file or that its page uses */
  hashes: FileHash[]
  /** bytes */
  size: number
}

/**
 * Fetches a file for which its page states no sha256, or whose listed hashes are of another algorithm. Throws DIGEST_MISMATCH where it
 * differs from any hash of the page.
 */
export async function fileContent(file: IndexFile, context: ResolveContext): Promise<FileContent> {
  const { digest, size } = await fetchOnce(file.url, context, { namedBy: file.namedBy })
  const algorithms = new Set<HashAlgorithm>(['sha384', 'sha512', ...file.hashes.map(one => one.algorithm)])
  algorithms.delete('sha256')
  const hashers = [...algorithms].map(algorithm => ({ algorithm, hash: createHash(algorithm) }))
  const content = await context.cache.open({ mediaType: mediaTypes.octets, digest, size })
  for await (const chunk of content as AsyncIterable<Buffer>)
    for (const { hash } of hashers) hash.update(chunk)
  const hashes = [
    fileHash('sha256', hexOf(digest))!,
    ...hashers.map(({ algorithm, hash }) => ({ algorithm, hex: hash.digest('hex') })),
  ]
  checkHashes(file, hashes)
  return { hashes, size }
}

/** Checks a file in memory against every hash of its page, before anything reads it. Throws DIGEST_MISMATCH. */
export function checkBytes(file: IndexFile, bytes: Buffer): void {
  const hashes = file.hashes.map(({ algorithm }) => ({
    algorithm,
    hex: createHash(algorithm).update(bytes).digest('hex'),
  }))
  checkHashes(file, hashes)
}

function checkHashes(file: IndexFile, found: readonly FileHash[]): void {
  for (const { algorithm, hex } of file.hashes) {
    if (found.some(one => one.algorithm === algorithm && one.hex === hex)) continue
    throw new AirgapError('DIGEST_MISMATCH', `a file does not match the ${algorithm} of its index or link`, {
      item: redactUrl(file.url),
      likely: 'damage in transit, or tampering',
      next: 'try again, if necessary from another network; if the error remains, do not use this index',
    })
  }
}
