import { AirgapError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import type { AnyKind } from '../kinds/index.ts'
import type { ResolveContext } from '../kinds/kind.ts'
import type { LockItem } from '../lock/schema.ts'
import { fetchOnce } from '../remote/fetch-once.ts'

/**
 * Takes signatures and tokens off the URLs of an item that come from an upstream's page (a chart index, a page of links): the lock
 * would carry them, and they expire. A build cannot find them again, so that their content is fetched now and kept in the cache. Throws
 * DIGEST_MISMATCH, and what fetching throws.
 */
export async function withoutSignedLinks(
  item: LockItem,
  { kind, context }: { kind: AnyKind; context: ResolveContext },
): Promise<LockItem> {
  // assembling a large tree takes a while
  if (!/https?:\/\/[^\s"]{1,2048}\?/.test(JSON.stringify(item))) return item
  const { secretQueries } = context.http
  const published = new Map<string, string>()
  for (const url of urlsOf(kind, item)) {
    const freed = secretQueries.takeFromPage(url)
    if (freed !== url) published.set(url, freed)
  }
  if (published.size === 0) return item
  const locked = replaced(item, published) as LockItem
  for (const { descriptor, sources } of kind.assemble([locked]).flatMap(({ blobs }) => blobs)) {
    const link = sources.find(source => source.type === 'url' && secretQueries.isFromPage(source.url))
    if (link?.type !== 'url' || (await context.cache.exists(descriptor))) continue
    const { digest } = await fetchOnce(link.url, context)
    if (digest !== descriptor.digest) throw mismatch(link.url, { digest, wanted: descriptor.digest })
  }
  return locked
}

function urlsOf(kind: AnyKind, item: LockItem): string[] {
  return kind
    .assemble([item])
    .flatMap(({ blobs }) => blobs)
    .flatMap(({ sources }) => sources)
    .flatMap(source => (source.type === 'url' ? [source.url] : []))
}

function replaced(value: unknown, texts: ReadonlyMap<string, string>): unknown {
  if (typeof value === 'string') return texts.get(value) ?? value
  if (Array.isArray(value)) return value.map(one => replaced(one, texts))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, replaced(one, texts)]))
}

function mismatch(url: string, { digest, wanted }: { digest: string; wanted: string }): AirgapError {
  return new AirgapError('DIGEST_MISMATCH', `the content has ${digest}, but its index has ${wanted}`, {
    item: redactUrl(url),
    likely: 'the content was replaced, or something on the connection answers instead of it',
    next: 'compare with the checksum that the publisher announces; do not use the new one unchecked',
  })
}
