import type { ReadableStore } from '../../content/store.ts'
import { humanBytes } from '../../core/human-bytes.ts'
import { encodePath } from '../../core/safe-path.ts'
import { type Html, html, table } from '../../html/html.ts'
import { type CatalogueItem, imageDetails } from './image-items.ts'
import type { Texts } from './texts.ts'

type Column = keyof Texts['columns']

const columnsOf: Record<string, readonly Column[]> = {
  image: ['name', 'tags', 'platforms', 'size', 'digest'],
  chart: ['name', 'version', 'about', 'size', 'digest'],
  file: ['name', 'size', 'digest'],
  deb: ['name', 'version', 'architecture', 'about', 'size'],
  rpm: ['name', 'version', 'architecture', 'size'],
  wheel: ['name', 'version', 'about', 'size'],
  git: ['name', 'branch', 'commit'],
}

/** Returns the items as a table; reads the manifests of images. Throws BUNDLE_CORRUPT. */
export async function itemTable(
  items: readonly CatalogueItem[],
  options: { kind: string; label: string; store: ReadableStore; text: Texts },
): Promise<Html> {
  const { kind, label, store, text } = options
  const columns = columnsOf[kind] ?? ['name', 'version', 'size']
  const rows = await Promise.all(
    items.map(async item => {
      const details = item.root === undefined ? undefined : await imageDetails(store, item.root)
      return columns.map(column => cell(column, { item, details, text }))
    }),
  )
  const headings = columns.map(column => text.columns[column])
  // a region that scrolls must be reachable with the keyboard
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${label}">${table(headings, rows, {
    numbers: [columns.indexOf('size')],
  })}</div>`
}

function cell(
  column: Column,
  {
    item,
    details,
    text,
  }: { item: CatalogueItem; details?: { platforms: string[]; size: number } | undefined; text: Texts },
): Html | string {
  switch (column) {
    case 'name':
      return item.path === undefined
        ? html`<b>${item.name}</b>`
        : html`<a href="${encodePath(item.path)}">${item.name}</a>`
    case 'tags':
      return item.version ? item.version : html`<span class="mute">${text.noTag}</span>`
    case 'platforms':
      return details?.platforms.join(', ') ?? ''
    case 'size': {
      const size = details?.size ?? item.size
      return size === undefined ? '' : humanBytes(size)
    }
    case 'digest':
      return html`<code>${item.digest}</code>`
    case 'commit':
      return html`<code>${item.version}</code>`
    case 'about':
    case 'branch':
      return (item.about ?? '').slice(0, 200)
    case 'version':
    case 'architecture':
      return item[column] ?? ''
  }
}
