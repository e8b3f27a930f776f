import { type Html, html } from '../../html/html.ts'
import { pageText, policyOf } from '../../html/page.ts'
import type { Language } from './language.ts'
import { script } from './script.ts'
import { style } from './style.ts'
import { type Texts, texts } from './texts.ts'

/** One request for a page: where, in which language, and with which parameters. */
export interface View {
  /** URL path of this page, decoded */
  path: string
  lang: Language
  /** the language is in the address: links keep it */
  langInLinks: boolean
  /** words that are searched; '' for none */
  query: string
  /** from 1 */
  page: number
}

/** Where the lists are, each at its name; the search is at the folder itself. */
export const browseFolder = '/browse/'

/** Returns a link to a page of this site, which keeps the language where the address names it. */
export function linkTo(
  { lang, langInLinks }: Pick<View, 'lang' | 'langInLinks'>,
  path: string,
  { query = '', page = 1 }: { query?: string; page?: number } = {},
): string {
  const parameters = new URLSearchParams()
  if (query !== '') parameters.set('q', query)
  if (page > 1) parameters.set('page', String(page))
  if (langInLinks) parameters.set('lang', lang)
  const search = parameters.toString()
  return search === '' ? path : `${path}?${search}`
}

/** What `policyOf` allows is what the frame contains. */
export const policy = `${policyOf({ style, script })}; frame-ancestors 'none'`

/** a disk with an arrow, drawn in one path */
const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='3' fill='%231f5fa8'/%3E%3Cpath d='M8 3v6M5 7l3 3 3-3M4 12.5h8' stroke='%23fff' stroke-width='1.6' fill='none'/%3E%3C/svg%3E"

/** Returns a whole page: the head, the switch of languages, the search, and what is specific to the page. */
export function frame(
  view: View,
  { title, header, body }: { title: string; header: Html; body: Html },
): string {
  const text = texts[view.lang]
  const other = text.otherLanguage
  const otherLink = linkTo({ lang: other.lang, langInLinks: true }, view.path, view)
  return pageText({
    lang: view.lang,
    title,
    style,
    script,
    head: html`<link rel="icon" href="${icon}">`,
    bodyAttributes: html`data-copy="${text.setup.copy}" data-copied="${text.setup.copied}"`,
    body: html`<a class="skip" href="#main">${text.skip}</a>
<main id="main"><div class="top">${header}<a href="${otherLink}" lang="${other.lang}" hreflang="${other.lang}">${other.name}</a></div>
${body}
</main>`,
  })
}

/** The form works without JavaScript; with it, results appear while one types. */
export function searchForm(view: View, text: Texts): Html {
  const list = view.path.startsWith(browseFolder) ? view.path : browseFolder
  return html`<form class="search" role="search" method="get" action="${list}">
<label for="q">${text.search.label}</label>
<input id="q" type="search" name="q" value="${view.query}" maxlength="200" placeholder="${text.search.hint}" autocomplete="off" spellcheck="false">
${view.langInLinks ? html`<input type="hidden" name="lang" value="${view.lang}">` : ''}<button>${text.search.button}</button>
</form>`
}
