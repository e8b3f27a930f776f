import { z } from 'zod'
import { treeArtifacts } from '../../content/tree.ts'
import { digestFromHex } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import { redactUrl } from '../../core/redact.ts'
import { digestSchema, sizeSchema } from '../../lock/schema.ts'
import { fetchOnce } from '../../remote/fetch-once.ts'
import { defineKind, type ResolveContext } from '../kind.ts'
import { type FileRequest, fileEntry } from './entry.ts'

export const lockedFileSchema = z.strictObject({
  /** path under /files */
  name: z.string(),
  url: z.url({ protocol: /^https?$/ }),
  digest: digestSchema,
  size: sizeSchema,
  executable: z.boolean(),
  firstUse: z.literal(true).optional(),
})
type LockedFile = z.infer<typeof lockedFileSchema>

/** Plain files by URL: one tree, served under /files. */
export const fileKind = defineKind({
  name: 'file',
  entry: fileEntry,
  inputs: { of: request => request, empty: 'counted' },
  schema: lockedFileSchema,
  resolve: resolveFile,
  assemble: files =>
    files.length === 0
      ? []
      : treeArtifacts({
          name: 'files',
          kind: 'file',
          files: files.map(file => ({
            path: file.name,
            mode: file.executable ? '100755' : '100644',
            descriptor: { mediaType: mediaTypes.octets, digest: file.digest, size: file.size },
            origin: { sources: [{ type: 'url', url: file.url }] },
          })),
        }),
  describe: file => [
    {
      name: file.name,
      size: file.size,
      source: redactUrl(file.url),
      ...(file.firstUse ? { firstUse: true } : {}),
    },
  ],
})

/** With a checksum only the size is asked for; without one the file is fetched now and trusted on first use. */
async function resolveFile(request: FileRequest, context: ResolveContext): Promise<LockedFile> {
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
    next: 'compare with what the publisher says; do not take the new checksum over unseen',
  })
}
