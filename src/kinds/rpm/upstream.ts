import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import type { TooLarge } from '../../remote/contract.ts'
import { fetchMirrorList, type MirrorList } from '../../remote/mirror-list.ts'
import type { ResolveContext } from '../kind.ts'
import type { RpmRepository } from './entry.ts'
import { type AddressTrust, type Place, urlsOf } from './location.ts'

/** The places that have a repository, the first to be tried first. */
export interface Upstream extends AddressTrust {
  /** for messages, redacted */
  name: string
  /** of repomd.xml, where a metalink gives them */
  digests?: MirrorList['digests']
  /** URL of the list of mirrors that names `bases` */
  list?: string
}

/** Returns the places that have a repository; a list of mirrors is read now. */
export async function upstreamOf(repository: RpmRepository, context: ResolveContext): Promise<Upstream> {
  const { baseurl, mirrorlist, metalink, variables = {} } = repository
  const signed = repository.metadata === 'signed'
  if (baseurl !== undefined) return { bases: [baseurl], signed, name: redactUrl(baseurl) }
  const url = mirrorlist ?? metalink ?? ''
  return {
    ...(await fetchMirrorList({ url, variables }, context.http)),
    signed,
    name: redactUrl(url),
    list: url,
  }
}

/** What names the address of a place: the repository an address of its own, the list of mirrors all others. */
export function namerOf(place: Place, { bases, list }: Upstream): string | undefined {
  return 'url' in place ? bases[0] : list
}

/**
 * Fetches a file of the repository into memory from the first place that has it and whose answer `check` accepts: a mirror may be
 * in the middle of an update. Throws what the last place led to.
 */
export async function getFile(
  upstream: Upstream,
  place: Place,
  options: {
    maxBytes: number
    headers?: Record<string, string>
    tooLargeIs?: TooLarge
    /** throws DIGEST_MISMATCH for other bytes than the wanted ones */
    check?: (bytes: Buffer, url: string) => Promise<void> | void
    context: ResolveContext
  },
): Promise<{ bytes: Buffer; url: string; base: string }> {
  const { context, check, ...request } = options
  const urls = urlsOf(upstream.bases, place)
  for (const [i, url] of urls.entries()) {
    try {
      const { bytes } = await context.http.get(url, { ...request, namedBy: namerOf(place, upstream) })
      await check?.(bytes, url)
      return { bytes, url, base: upstream.bases[i] ?? '' }
    } catch (error) {
      context.signal.throwIfAborted()
      if (!(error instanceof AirgapError) || error.code === 'SIGNATURE_INVALID') throw error
      if (i === urls.length - 1) throw error
      context.progress.note(`${error.item ?? upstream.name}: ${error.message}; trying the next mirror`)
    }
  }
  throw new AirgapError('UPSTREAM_INVALID', 'the repository has no address', { item: upstream.name })
}
