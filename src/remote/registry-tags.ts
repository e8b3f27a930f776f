import { isTag } from '../core/reference.ts'
import { refuseHtml } from './captive-portal.ts'
import { collectBody } from './http-client.ts'
import { ask, nextPage, type RegistryContext } from './registry-request.ts'
import { withRetries } from './retry.ts'
import type { Endpoint } from './source-map.ts'

const maxTagList = 8 << 20 /* bytes, of one page */
const maxTagPages = 100

/** Lists all tags (distribution-spec, "Listing Tags"), page by page. */
export async function tagsAt(endpoint: Endpoint, context: RegistryContext): Promise<string[]> {
  const { transport } = context
  const tags: string[] = []
  let path: string | undefined = 'tags/list'
  for (let page = 0; path !== undefined && page < maxTagPages; page++) {
    const { headers, bytes } = await withRetries(async () => {
      const response = await ask(endpoint, path!, { context })
      const body = await refuseHtml(response, { wanted: response.url })
      const whole = {
        transport,
        item: endpoint.name,
        maxBytes: maxTagList,
        headers: response.headers,
        tooLargeIs: 'UPSTREAM_INVALID',
      } as const
      return { headers: response.headers, bytes: await collectBody(body, whole) }
    }, transport.retrying())
    tags.push(...tagsIn(bytes))
    path = nextPage(endpoint, headers['link'])
  }
  return tags
}

/** Returns up to five tags that begin like the missing one; undefined if the registry does not list its tags. Sends one request. */
export async function similarTags(
  endpoint: Endpoint,
  options: { tag: string; context: RegistryContext },
): Promise<string[] | undefined> {
  try {
    const response = await ask(endpoint, 'tags/list?n=1000', { context: options.context })
    const { transport } = options.context
    const bytes = await collectBody(response.body, {
      transport,
      item: endpoint.name,
      maxBytes: maxTagList,
      tooLargeIs: 'UPSTREAM_INVALID',
      headers: response.headers,
    })
    const tags = tagsIn(bytes)
    if (tags.length === 0) return undefined
    const score = (tag: string) =>
      commonPrefix(tag, options.tag) * 4 - Math.abs(tag.length - options.tag.length)
    return tags.sort((a, b) => score(b) - score(a)).slice(0, 5)
  } catch {
    // the missing tag is the error to report, not that similar ones cannot be listed
    return undefined
  }
}

/** `tags` is null where Go wrote an empty list. */
function tagsIn(bytes: Buffer): string[] {
  try {
    const list: unknown = JSON.parse(bytes.toString('utf8')).tags
    return Array.isArray(list) ? list.filter(tag => typeof tag === 'string' && isTag(tag)) : []
  } catch {
    return []
  }
}

function commonPrefix(a: string, b: string): number {
  let i = 0
  while (i < a.length && a[i] === b[i]) i++
  return i
}
