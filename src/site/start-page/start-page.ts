import type { ReadableStore } from '../../content/store.ts'
import { digestOf } from '../../core/digest.ts'
import type { ClientFile } from '../../kinds/client-file.ts'
import type { ServiceAnswer, ServiceRequest, SiteList, SiteMount, SiteService } from '../../kinds/mount.ts'
import type { NamedRoot } from '../images.ts'
import type { AboutSite } from './about.ts'
import { listPage, searchPage } from './browse.ts'
import { catalogue } from './catalogue.ts'
import { browseFolder, policy, type View } from './frame.ts'
import { frontPage } from './front.ts'
import { languageOf } from './language.ts'

export interface StartPageOptions {
  store: ReadableStore
  about: AboutSite
  /** Returns what the registry serves. */
  named(): readonly NamedRoot[]
  lists: readonly SiteList[]
  clients: readonly ClientFile[]
}

/**
 * Returns the pages for people: at `/` for browsers, which name `text/html` in their Accept header (everything else gets the listing of the
 * folder there), and below `/browse/`. Nothing is read or rendered before the first request for it.
 */
export function startPage({ store, about, named, lists, clients }: StartPageOptions): SiteMount {
  const context = { store, about, clients, catalogue: catalogue({ store, named, lists }) }
  const rendered = renderedPages()
  const service = (path: string, render: (view: View) => Promise<string | undefined>): SiteService => ({
    async answer(request) {
      const view = viewOf(path, request)
      if (view === undefined) return undefined
      const page = await rendered.get(view, render)
      return page && answerOf(page)
    },
  })
  const services = new Map<string, SiteService>([
    [
      '',
      {
        async answer(request) {
          if (!wantsPage(request)) return undefined
          return await service('/', view => frontPage({ view, context })).answer(request)
        },
      },
    ],
    ['browse/', service(browseFolder, view => searchPage({ view, context }))],
  ])
  for (const name of context.catalogue.names)
    services.set(
      `browse/${name}`,
      service(`${browseFolder}${name}`, view => listPage(name, { view, context })),
    )
  return { prefix: '/', services }
}

/** A client that accepts anything (curl, wget, apt) gets the listing of the folder, and so does a request for a page of that. */
function wantsPage({ headers, query }: ServiceRequest): boolean {
  return /\b(?:text\/html|application\/xhtml\+xml)\b/.test(headers['accept'] ?? '') && !query.has('page')
}

/** undefined for a page that no list can have */
function viewOf(path: string, { query, headers }: ServiceRequest): View | undefined {
  const page = query.get('page') ?? '1'
  if (!/^[1-9]\d{0,6}$/.test(page)) return undefined
  const requested = query.get('lang')
  return {
    path,
    lang: languageOf(requested, headers['accept-language']),
    langInLinks: requested !== null,
    query: (query.get('q') ?? '').trim().slice(0, 200),
    page: Number(page),
  }
}

interface RenderedPage {
  bytes: Buffer
  etag: string
}

/** of pages that are kept; the least recently requested one is dropped */
const maxKept = 8 << 20 /* bytes */

interface RenderedPages {
  get(view: View, render: (view: View) => Promise<string | undefined>): Promise<RenderedPage | undefined>
}

/** What a site serves does not change while it runs: a page is rendered once. Results of searches are not kept. */
function renderedPages(): RenderedPages {
  const kept = new Map<string, RenderedPage>()
  let size = 0
  return {
    async get(view, render) {
      const key = JSON.stringify(view)
      const found = kept.get(key)
      if (found !== undefined) {
        kept.delete(key)
        kept.set(key, found)
        return found
      }
      const text = await render(view)
      if (text === undefined) return undefined
      const bytes = Buffer.from(text)
      const page = { bytes, etag: `"${digestOf(bytes)}"` }
      if (view.query !== '' || kept.has(key)) return page
      kept.set(key, page)
      size += bytes.length
      for (const [oldest, old] of kept) {
        if (size <= maxKept) break
        kept.delete(oldest)
        size -= old.bytes.length
      }
      return page
    },
  }
}

function answerOf({ bytes, etag }: RenderedPage): ServiceAnswer {
  return {
    mediaType: 'text/html; charset=utf-8',
    body: bytes,
    etag,
    headers: {
      'content-security-policy': policy,
      'referrer-policy': 'no-referrer',
      vary: 'accept, accept-language',
    },
  }
}
