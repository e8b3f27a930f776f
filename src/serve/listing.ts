import { digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import type { FolderEntry } from './file-table.ts'

/** Listings of folders in pages, rendered once each. */
export interface Listings {
  /** Returns one page. `page`: the parameter of the URL; null: the first. Throws NOT_FOUND where there is no such page. */
  page(folder: Folder, options: { form: ListingForm; page: string | null }): ListingPage
}

export type ListingForm = 'html' | 'json'

export interface Folder {
  /** decoded, with a slash at the end */
  path: string
  /** in order; the same array each time */
  children: readonly FolderEntry[]
}

export interface ListingPage {
  bytes: Buffer
  etag: string
  /** relative link to the next page */
  next?: string
}

/** An answer of some 200 KB: a browser shows it at once, and rendering it takes 2 ms. */
const entriesPerPage = 1_000
/** of pages that are kept; the least recently requested one is dropped */
const maxKept = 16 << 20 /* bytes */

export function listings(): Listings {
  const kept = new Map<string, ListingPage>()
  let size = 0

  function keep(key: string, page: ListingPage): void {
    kept.set(key, page)
    size += page.bytes.length
    for (const [oldest, old] of kept) {
      if (size <= maxKept) break
      kept.delete(oldest)
      size -= old.bytes.length
    }
  }

  return {
    page({ path, children }, { form, page }) {
      const pages = Math.max(1, Math.ceil(children.length / entriesPerPage))
      const number = pageNumber(page, pages, path)
      const key = `${form} ${number} ${path}`
      const found = kept.get(key)
      if (found !== undefined) {
        kept.delete(key)
        kept.set(key, found)
        return found
      }
      const next = number < pages ? `?page=${number + 1}` : undefined
      const shown = {
        path,
        children: children.slice((number - 1) * entriesPerPage, number * entriesPerPage),
        number,
        pages,
        next,
      }
      const bytes = Buffer.from(form === 'json' ? jsonListing(shown) : htmlListing(shown))
      const made = { bytes, etag: `"${digestOf(bytes)}"`, ...(next === undefined ? {} : { next }) }
      keep(key, made)
      return made
    },
  }
}

function pageNumber(page: string | null, pages: number, path: string): number {
  if (page === null) return 1
  const number = /^[1-9]\d{0,6}$/.test(page) ? Number(page) : 0
  if (number >= 1 && number <= pages) return number
  throw new AirgapError('NOT_FOUND', 'the listing has no such page', {
    item: `${path.slice(0, 300)}?page=${page.slice(0, 30)}`,
    next: `request a page from 1 to ${pages}`,
  })
}

interface Shown extends Folder {
  /** from 1 */
  number: number
  pages: number
  next: string | undefined
}

function jsonListing({ path, children, next }: Shown): string {
  return JSON.stringify({ path, entries: children, next })
}

/** Returns a page for people and for `wget -r`: names, and sizes in bytes. */
function htmlListing({ path, children, number, pages, next }: Shown): string {
  const title = escapeHtml(path)
  const up = path === '/' ? '' : '<tr><td><a href="../">../</a></td><td></td></tr>\n'
  const rows = children.map(child => {
    const slash = child.type === 'folder' ? '/' : ''
    // "./": a name with a colon would be parsed as a scheme
    const link = `./${encodeURIComponent(child.name)}${slash}`
    const size = child.size === undefined ? '' : String(child.size)
    return `<tr><td><a href="${link}">${escapeHtml(child.name)}${slash}</a></td><td align="right">${size}</td></tr>\n`
  })
  const link = next === undefined ? '' : ` <a rel="next" href="${next}">next page</a>`
  const place = pages === 1 ? '' : `<p>page ${number} of ${pages}${link}</p>\n`
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>
<body><h1>${title}</h1>
${place}<table><tr><th align="left">name</th><th align="right">bytes</th></tr>
${up}${rows.join('')}</table>
${place}</body></html>
`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
