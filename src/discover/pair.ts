import { AirgapError } from '../core/errors.ts'
import { formatReference, parseReference, splitRepository } from '../core/reference.ts'
import type { Found, Sighting } from './found.ts'

/** An image that releases use: what it is upstream, and what the site's machines are told to pull. */
export interface UsedImage {
  /** upstream's name, fully spelled: `docker.io/library/nginx:1.26` */
  upstream: string
  /** as rendered for the site */
  onSite: string
  /** it does not begin with the site's registry */
  leak: boolean
  /** an operator ends the tag with the system of each node: `-ubuntu22.04` */
  perNode?: true
  /** set where every sighting is dormant */
  dormant?: string
  seen: Sighting[]
}

/**
 * Joins two renderings of the same releases: with the site's addresses (`site`) and without (`public`). What stands at the
 * same place in both is the same image; the public one says where it comes from. `registry` is the site's, as rendered.
 */
export function pairImages(renderings: { site: Found; public: Found }, registry: string): UsedImage[] {
  const upstreams = new Map(
    renderings.public.images.map(image => [placeOf(image.seen, image.text), image.text]),
  )
  const used = new Map<string, UsedImage>()
  for (const { text, dormant, perNode, seen } of renderings.site.images) {
    const leak = !text.startsWith(`${registry}/`)
    const plain = leak ? text : (upstreams.get(placeOf(seen, text.slice(registry.length + 1))) ?? undefined)
    const upstream = spelledOut(plain ?? text.slice(registry.length + 1))
    const key = `${upstream}\n${text}`
    const known = used.get(key)
    if (known === undefined) {
      used.set(key, {
        upstream,
        onSite: text,
        leak,
        ...(dormant === undefined ? {} : { dormant }),
        ...(perNode === true ? { perNode } : {}),
        seen: [seen],
      })
      continue
    }
    known.seen.push(seen)
    if (dormant === undefined) delete known.dormant
  }
  return [...used.values()]
}

/**
 * The place and the end of the name: several images may stand in one text. Hosts differ between the renderings, paths
 * and tags do not.
 */
function placeOf({ release, object, path }: Sighting, text: string): string {
  const last = text.slice(text.lastIndexOf('/') + 1)
  return [release, object, path, last].join('\n')
}

/** As lists have it; what is no reference, and could be in none, as far as it goes. */
export function spelledOut(text: string): string {
  try {
    return formatReference(parseReference(text))
  } catch (error) {
    if (!(error instanceof AirgapError)) throw error
    const { host, repository } = splitRepository(text)
    return `${host}/${repository}`
  }
}
