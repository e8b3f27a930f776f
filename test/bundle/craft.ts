import {
  type BundleEntry,
  headerOf,
  placeEntries,
  trailerSize,
  type UnplacedEntry,
} from '../../src/bundle/entry.ts'
import { encodeFrontTable } from '../../src/bundle/front-table.ts'
import { paddingOf } from '../../src/bundle/tar-header.ts'
import { digestOf } from '../../src/core/digest.ts'
import { layoutOf, type Sample } from './samples.ts'

/** Entries of a good bundle after its front, each with its bytes; links have none. */
export function contentEntries(sample: Sample): UnplacedEntry[] {
  return layoutOf(sample)
    .entries.slice(3)
    .map(({ headerOffset: _h, dataOffset: _d, ...entry }) => {
      const bytes = entry.bytes ?? (entry.digest && sample.contents.get(entry.digest))
      return entry.type === 'file' && bytes ? { ...entry, bytes } : entry
    })
}

/**
 * Packs a tar as an attacker would who knows the format: consistent in itself, whatever the entries are.
 * `table` is what the front table says, where that differs from what is there.
 */
export function craftBundle(
  sample: Sample,
  lie: { entries: UnplacedEntry[]; table?: UnplacedEntry[]; index?: (text: string) => string },
): Buffer {
  const [layout, index] = layoutOf(sample).entries as [BundleEntry, BundleEntry, ...BundleEntry[]]
  const text = Buffer.from(index.bytes!).toString('utf8')
  const indexBytes = Buffer.from(lie.index?.(text) ?? text)
  const table = encodeFrontTable({ index: digestOf(indexBytes), entries: lie.table ?? lie.entries })
  const file = (path: string, bytes: Uint8Array): UnplacedEntry => ({
    path,
    type: 'file',
    size: bytes.length,
    mode: 0o644,
    bytes,
  })
  return packTar([layout, file('index.json', indexBytes), file('airgap.json', table), ...lie.entries])
}

export function packTar(entries: UnplacedEntry[]): Buffer {
  const blocks = placeEntries(entries, 0).flatMap(entry => [
    headerOf(entry),
    Buffer.from(entry.bytes ?? Buffer.alloc(entry.size)),
    Buffer.alloc(paddingOf(entry.size)),
  ])
  return Buffer.concat([...blocks, Buffer.alloc(trailerSize)])
}
