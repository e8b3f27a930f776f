import { compareText } from '../core/canonical-json.ts'
import type { BundleEntry } from './entry.ts'

/**
 * Returns the entries that are not where the layout puts them: small metadata by digest, then named files each with its links, then
 * all other blobs by digest. The same content has one order only, so that one lock has one bundle.
 */
export function misplacedEntries(entries: readonly BundleEntry[]): BundleEntry[] {
  const rest = entries.slice(3)
  const isNamed = (entry: BundleEntry) => entry.type === 'link' || !entry.path.startsWith('blobs/')
  const first = rest.findIndex(isNamed)
  const afterNamed = rest.findLastIndex(isNamed) + 1
  if (first >= 0) {
    const [before, named, after] = [
      rest.slice(0, first),
      rest.slice(first, afterNamed),
      rest.slice(afterNamed),
    ]
    return [...descents(before), ...misplacedNames(named), ...descents(after)]
  }
  // without named files, one descent is where the other blobs begin
  return descents(rest).slice(1)
}

function descents(entries: BundleEntry[]): BundleEntry[] {
  return entries.filter((entry, i) => i > 0 && compareText(entries[i - 1]!.path, entry.path) >= 0)
}

/** Each file is followed by the link of its blob, then by its other names; files are sorted by path. */
function misplacedNames(named: BundleEntry[]): BundleEntry[] {
  const files = named.filter(entry => entry.type === 'file')
  const wrong = named.filter((entry, i) => {
    if (entry.type === 'file') return entry.path.startsWith('blobs/') || named[i + 1]?.target !== entry.path
    const before = named[i - 1]
    if (before?.type === 'file') return entry.target !== before.path || !entry.path.startsWith('blobs/')
    return before?.target !== entry.target || entry.path.startsWith('blobs/')
  })
  return [...descents(files), ...wrong]
}
