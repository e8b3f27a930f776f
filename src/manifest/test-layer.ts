import { AirgapError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { createMistakes } from '../document/mistakes.ts'
import { readDocument } from '../document/read-text.ts'
import { parseManifestDocument } from './document.ts'
import { testLayerSchema } from './schema.ts'
import { checkedSources } from './sources.ts'
import type { StackManifest } from './stack.ts'

/**
 * Returns the manifest with a test upstream instead of the publishers': its sources take precedence, and files get the checksums
 * of the test upstream. Throws MANIFEST_INVALID for the checksum of a file that the manifest does not list.
 */
export async function withTestLayer(manifest: StackManifest, path: string): Promise<StackManifest> {
  const layer = parseManifestDocument(await readDocument(path), { file: path, schema: testLayerSchema })
  const { at } = layer
  const mistakes = createMistakes()
  const value = mistakes.attempt(() => manifest.secretQueries.takeFromAll(layer.value, path)) ?? layer.value
  const sources = checkedSources({ value, at }, mistakes)
  mistakes.throwIfAny()
  const checksums = new Map(Object.entries(value.checksums))
  for (const url of checksums.keys()) {
    if (manifest.files.some(file => file.url === url)) continue
    throw new AirgapError('MANIFEST_INVALID', 'the manifest lists no file for this checksum', {
      item: `${at(['checksums', url], 'key')}: ${redactUrl(url)}`,
      next: 'correct the URL, or remove the checksum from the test layer',
    })
  }
  return {
    ...manifest,
    sources: [...sources, ...manifest.sources],
    files: manifest.files.map(file => {
      const sha256 = checksums.get(file.url)
      return sha256 === undefined ? file : { ...file, sha256 }
    }),
    testUpstream: true,
  }
}
