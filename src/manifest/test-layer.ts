import { AirgapError } from '../core/errors.ts'
import { parseManifestDocument } from './document.ts'
import { testLayerSchema } from './schema.ts'
import { readManifest } from './source-text.ts'
import type { StackManifest } from './stack.ts'

/**
 * The manifest with a test's upstream in place of the publishers': its sources win, and files have the checksums of what it
 * gives out. Throws MANIFEST_INVALID for a checksum of a file that the manifest does not have.
 */
export async function withTestLayer(manifest: StackManifest, path: string): Promise<StackManifest> {
  const { value, at } = parseManifestDocument(await readManifest(path), {
    file: path,
    schema: testLayerSchema,
  })
  const checksums = new Map(Object.entries(value.checksums))
  for (const url of checksums.keys()) {
    if (manifest.files.some(file => file.url === url)) continue
    throw new AirgapError('MANIFEST_INVALID', 'a checksum for a file that the manifest does not have', {
      item: `${at(['checksums', url], 'key')}: ${url.slice(0, 300)}`,
      next: 'take it out',
    })
  }
  return {
    ...manifest,
    sources: [...value.sources, ...manifest.sources],
    files: manifest.files.map(file => {
      const sha256 = checksums.get(file.url)
      return sha256 === undefined ? file : { ...file, sha256 }
    }),
    testUpstream: true,
  }
}
