import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { formatReference, parseReference, splitRepository } from '../core/reference.ts'
import type { Found, Sighting } from './found.ts'

/** An image that releases use: its upstream name, and the name that the site's nodes pull. */
export interface UsedImage {
  /** full upstream name: `docker.io/library/nginx:1.26` */
  upstream: string
  /** as rendered for the site */
  onSite: string
  /** the name on the site does not begin with the site's registry */
  leak: boolean
  /** an operator appends the OS of each node to the tag: `-ubuntu22.04` */
  perNode?: true
  /** set if every sighting is dormant */
  dormant?: string
  seen: Sighting[]
}

/**
 * Pairs the images of two renderings of the same releases, with the site's addresses (`site`) and without (`public`). Images at
 * the same place are the same image; the public one has the upstream name. `registry` is the site's, as rendered.
 */
export function pairImages(renderings: { site: Found; public: Found }, registry: string): UsedImage[] {
  const upstreams = new Map(
    renderings.public.images.map(image => [placeOf(image.seen, image.text), image.text]),
  )
  const used = new Map<string, UsedImage>()
  for (const { text, dormant, perNode, seen } of renderings.site.images) {
    const leak = !text.startsWith(`${registry}/`)
    const plain = leak ? text : (upstreams.get(placeOf(seen, text.slice(registry.length + 1))) ?? undefined)
    const upstream = fullName(plain ?? text.slice(registry.length + 1))
    const key = `${upstream}\n${text}`
    const known = used.get(key)
    if (known === undefined) {
      used.set(key, defined({ upstream, onSite: text, leak, dormant, perNode, seen: [seen] }))
      continue
    }
    known.seen.push(seen)
    if (dormant === undefined) delete known.dormant
  }
  return [...used.values()]
}

/**
 * Identifies an image by its place and the end of its name, as one text may contain several images. Hosts differ between the
 * renderings, paths and tags do not.
 */
function placeOf({ release, object, path }: Sighting, text: string): string {
  const last = text.slice(text.lastIndexOf('/') + 1)
  return [release, object, path, last].join('\n')
}

/** Returns the full reference, as in image lists; for text that is not a valid reference, only host and repository. */
export function fullName(text: string): string {
  try {
    return formatReference(parseReference(text))
  } catch (error) {
    if (!(error instanceof AirgapError)) throw error
    const { host, repository } = splitRepository(text)
    return `${host}/${repository}`
  }
}
