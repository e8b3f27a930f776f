import type { ReadableStore } from '../../content/store.ts'
import { encodePath } from '../../core/safe-path.ts'
import { type Html, html } from '../../html/html.ts'
import { type Catalogue, type CatalogueList, matching } from './catalogue.ts'
import { browseFolder, frame, linkTo, searchForm, type View } from './frame.ts'
import { itemTable } from './item-table.ts'
import { type Texts, texts } from './texts.ts'

export interface BrowseContext {
  store: ReadableStore
  catalogue: Catalogue
}

/** An answer of some 60 KB. */
const rowsPerPage = 100
/** of each list, where all are searched */
const firstRows = 20

/** Name of a list for people: `Debian and Ubuntu packages: debian-12`. */
export function titleOf({ kind, name }: Pick<CatalogueList, 'kind' | 'name'>, text: Texts): string {
  const title = text.kinds[kind] ?? name
  const [, release] = /^(?:debs|rpms)\/(.+)$/.exec(name) ?? []
  return release === undefined ? title : `${title}: ${release}`
}

export function listPath(name: string): string {
  return `${browseFolder}${encodePath(name)}`
}

/** Returns the page of one list, or of the matching items in it; undefined where it has no such page. */
export async function listPage(
  name: string,
  { view, context }: { view: View; context: BrowseContext },
): Promise<string | undefined> {
  const text = texts[view.lang]
  const list = (await context.catalogue.lists()).find(one => one.name === name)
  if (list === undefined) return undefined
  const found = matching(list.items, view.query)
  const pages = Math.max(1, Math.ceil(found.length / rowsPerPage))
  if (view.page > pages) return undefined
  const shown = found.slice((view.page - 1) * rowsPerPage, view.page * rowsPerPage)
  const title = titleOf(list, text)
  const links = pages > 1 ? pageLinks(view, { pages, text }) : html``
  const label = text.page(view.page, pages)
  const top = pages > 1 ? html`<nav class="pages" aria-label="${label}">${links}</nav>` : ''
  return frame(view, {
    title,
    header: heading(view, { title, text }),
    body: html`${searchForm(view, text)}
<p id="found" role="status">${countText(found.length, { view, text })}</p>
<div id="results">${top}${shown.length === 0 ? '' : await itemTable(shown, { kind: list.kind, label: title, store: context.store, text })}<div class="pages">${links}</div></div>`,
  })
}

/** Returns the page that searches all lists; without a query, it links to them. */
export async function searchPage({ view, context }: { view: View; context: BrowseContext }): Promise<string> {
  const text = texts[view.lang]
  const lists = await context.catalogue.lists()
  const title = view.query === '' ? text.contents.title : `${text.search.button}: ${view.query}`
  const results =
    view.query === '' ? [] : lists.map(list => ({ list, found: matching(list.items, view.query) }))
  const count = results.reduce((sum, { found }) => sum + found.length, 0)
  const sections: Html[] = []
  for (const { list, found } of results) {
    if (found.length === 0) continue
    const { kind } = list
    const label = titleOf(list, text)
    const shown = found.slice(0, firstRows)
    const more = linkTo(view, listPath(list.name), { query: view.query })
    sections.push(html`<section><h2>${label} <span class="mute">${found.length}</span></h2>
${await itemTable(shown, { kind, label, store: context.store, text })}
${found.length > shown.length ? html`<p><a href="${more}">${text.moreIn(label)}</a></p>` : ''}</section>`)
  }
  return frame(view, {
    title,
    header: heading(view, { title: view.query === '' ? title : text.search.button, text }),
    body: html`${searchForm(view, text)}
<p id="found" role="status">${view.query === '' ? '' : countText(count, { view, text })}</p>
<div id="results">${view.query === '' ? listLinks(lists, { view, text }) : sections}</div>`,
  })
}

/** Links to all lists, with the number of their items. */
export function listLinks(
  lists: readonly CatalogueList[],
  { view, text }: { view: View; text: Texts },
): Html {
  if (lists.length === 0) return html`<p>${text.contents.empty}</p>`
  return html`<ul class="lists">${lists.map(
    list =>
      html`<li><a href="${linkTo(view, listPath(list.name))}"><b>${titleOf(list, text)}</b><span>${text.contents.items(list.items.length)}</span></a></li>\n`,
  )}</ul>`
}

function heading(view: View, { title, text }: { title: string; text: Texts }): Html {
  return html`<div><p><a href="${linkTo(view, '/')}">← ${text.back}</a></p><h1>${title}</h1></div>`
}

function countText(count: number, { view, text }: { view: View; text: Texts }): string {
  if (view.query === '') return text.contents.items(count)
  return count === 0 ? text.noResults(view.query) : text.results(count, view.query)
}

function pageLinks(view: View, { pages, text }: { pages: number; text: Texts }): Html {
  const { page, path, query } = view
  const link = (to: number, rel: string, label: string) =>
    html`<a rel="${rel}" href="${linkTo(view, path, { query, page: to })}">${label}</a>`
  return html`${page > 1 ? link(page - 1, 'prev', text.previous) : ''}
<span>${text.page(page, pages)}</span>
${page < pages ? link(page + 1, 'next', text.next) : ''}`
}
