import type { ReadableStore } from '../../content/store.ts'
import { compareText } from '../../core/canonical-json.ts'
import type { ListedItem, SiteList } from '../../kinds/mount.ts'
import type { NamedRoot } from '../images.ts'
import { type CatalogueItem, imageItems } from './image-items.ts'

export interface CatalogueList {
  kind: string
  name: string
  /** sorted by name, then by version */
  items: readonly CatalogueItem[]
}

/** Everything that people look for on the site. */
export interface Catalogue {
  /** Returns all lists that have something, images first. Reads them at the first call. */
  lists(): Promise<readonly CatalogueList[]>
  /** Returns the names of all lists, which are known without reading them. */
  readonly names: readonly string[]
}

export const imagesList = 'images'

export function catalogue(options: {
  store: ReadableStore
  named(): readonly NamedRoot[]
  lists: readonly SiteList[]
}): Catalogue {
  const { store, named, lists } = options
  let reading: Promise<CatalogueList[]> | undefined
  async function read(): Promise<CatalogueList[]> {
    const read: CatalogueList[] = [
      { kind: 'image', name: imagesList, items: await imageItems(store, named()) },
    ]
    for (const { kind, name, items } of lists) read.push({ kind, name, items: sorted(await items()) })
    return read.filter(({ items }) => items.length > 0)
  }
  return {
    names: [imagesList, ...lists.map(({ name }) => name)],
    lists() {
      if (reading === undefined) {
        const started = read()
        reading = started
        // a medium that was unplugged may come back: the next request reads again
        started.catch(() => {
          if (reading === started) reading = undefined
        })
      }
      return reading
    },
  }
}

function sorted(items: readonly ListedItem[]): ListedItem[] {
  return items.toSorted(
    (a, b) => compareText(a.name, b.name) || compareText(a.version ?? '', b.version ?? ''),
  )
}

/** Longest query that is searched; the rest of it is ignored. */
const maxQuery = 200
const maxWords = 8

/** Returns the items that have all words of the query in their name, version, architecture or digest, in any case. */
export function matching<T extends ListedItem>(items: readonly T[], query: string): readonly T[] {
  const words = query.slice(0, maxQuery).toLowerCase().split(/\s+/).filter(Boolean).slice(0, maxWords)
  if (words.length === 0) return items
  return items.filter(({ name, version = '', architecture = '', digest = '' }) => {
    const text = `${name} ${version} ${architecture} ${digest}`.toLowerCase()
    return words.every(word => text.includes(word))
  })
}
