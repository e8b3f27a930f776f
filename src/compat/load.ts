import { readDocument } from '../document/read-text.ts'
import { parseManifestDocument } from '../manifest/document.ts'
import { type Compatibility, compatibilitySchema } from './schema.ts'

/** Reads a file of compatibility rules; reports every mistake with its line and column. Throws MANIFEST_INVALID, FILE_NOT_FOUND. */
export async function loadCompatibility(path: string): Promise<Compatibility> {
  return parseManifestDocument(await readDocument(path), { file: path, schema: compatibilitySchema }).value
}
