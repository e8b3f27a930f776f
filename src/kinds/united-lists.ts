import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'

/** One entry of a list of packages. */
export interface ListEntry {
  /** what it describes: two entries with the same key describe the same package */
  key: string
  /** digest of the content that it names; '' where it names none */
  content: string
  text: string
}

/**
 * Unites lists of packages that several bundles have under the same path: entries word for word, each key once, sorted by key; of two texts
 * the last, as it is the newer bundle's. Throws NAME_COLLISION where two bundles have different content under one key.
 */
export function uniteLists(path: string, lists: readonly (readonly ListEntry[])[]): string[] {
  const entries = new Map<string, ListEntry>()
  for (const entry of lists.flat()) {
    const other = entries.get(entry.key)
    if (other !== undefined && other.content !== entry.content) {
      throw new AirgapError(
        'NAME_COLLISION',
        'two bundles have different packages under the same name and version',
        {
          item: `${path}: ${entry.key.replaceAll('\u0000', ' ')}`,
          likely:
            'the package was rebuilt under its old version, or one of the bundles comes from another mirror',
          next: 'serve the newer bundle only',
        },
      )
    }
    entries.set(entry.key, entry)
  }
  return [...entries.values()].sort((a, b) => compareText(a.key, b.key)).map(entry => entry.text)
}
