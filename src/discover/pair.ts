import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { formatReference, parseReference, splitRepository } from '../core/reference.ts'
import type { Found, FoundImage, Sighting } from './found.ts'

/** An image that releases use: its upstream name, and the name that the site's nodes pull. */
export interface UsedImage {
  /** full upstream name: `docker.io/library/nginx:1.26`; if `unknown`, the path on the site */
  upstream: string
  /** as rendered for the site */
  onSite: string
  /** the name on the site does not begin with the site's registry */
  leak: boolean
  /** pulled from the site, but the rendering without the site's addresses does not show from where it comes */
  unknown?: true
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
  const upstreamOf = upstreamsOf(renderings)
  const used = new Map<string, UsedImage>()
  for (const image of renderings.site.images) {
    const { text, dormant, perNode, seen } = image
    const leak = !text.startsWith(`${registry}/`)
    const path = leak ? text : text.slice(registry.length + 1)
    const found = leak ? text : upstreamOf(image, path)
    const unknown = found === undefined ? (true as const) : undefined
    const upstream = found === undefined ? path : fullName(found)
    const key = [unknown, upstream, text, perNode].join('\n')
    const known = used.get(key)
    if (known === undefined) {
      used.set(key, defined({ upstream, onSite: text, leak, unknown, dormant, perNode, seen: [seen] }))
      continue
    }
    if (!known.seen.some(one => isSame(one, seen))) known.seen.push(seen)
    if (dormant === undefined) delete known.dormant
  }
  return [...used.values()]
}

function isSame(a: Sighting, b: Sighting): boolean {
  return a.release === b.release && a.object === b.object && a.path === b.path && a.how === b.how
}

/**
 * Returns the upstream text of an image of the site's rendering, whose `path` is the text without the site's registry.
 *
 * Images at the same place are the same image. Objects with generated names (randAlphaNum, now, uuidv4) have another name in each
 * rendering. They are paired by release, kind and place, then by release alone. Of several candidates, those that the site serves under
 * this path come first, and all of them must agree. Without an answer the upstream is unknown: `t/job:1` read as
 * Docker Hub's name would be somebody else's image.
 */
function upstreamsOf({
  public: { images },
}: {
  public: Found
}): (image: FoundImage, path: string) => string | undefined {
  const levels = [
    // one text may contain several images with the same end of the name
    { keyOf: placeOf, rules: [isServedAs, always] },
    { keyOf: byObjectLike, rules: [isServedAs, always] },
    { keyOf: byPlaceLike, rules: [isServedAs, always] },
    { keyOf: byRelease, rules: [isServedAs] },
  ].map(({ keyOf, rules }) => {
    const groups = new Map<string, FoundImage[]>()
    for (const image of images) {
      const key = keyOf(image.seen, image.text)
      const group = groups.get(key)
      if (group) group.push(image)
      else groups.set(key, [image])
    }
    return { keyOf, rules, groups }
  })
  return ({ seen }, path) => {
    for (const { keyOf, rules, groups } of levels) {
      const group = groups.get(keyOf(seen, path)) ?? []
      for (const fits of rules) {
        const texts = new Set(group.filter(({ text }) => fits(text, path)).map(({ text }) => fullName(text)))
        if (texts.size === 1) return [...texts][0]
      }
    }
    return undefined
  }
}

/**
 * Identifies an image by its place and the end of its name, as one text may contain several images. Hosts differ between the
 * renderings, paths and tags do not.
 */
function placeOf({ release, object, path }: Sighting, text: string): string {
  return [release, object, path, lastOf(text)].join('\n')
}

/** The last word of the name is the generated one, in all common charts. */
function byObjectLike({ release, object, path }: Sighting, text: string): string {
  const [kind = '', name = ''] = object.split(' ')
  const words = name.split(/[-._]/).slice(0, -1)
  return [release, kind, words.join('-'), path, lastOf(text)].join('\n')
}

function byPlaceLike({ release, object, path }: Sighting, text: string): string {
  const kind = object.split(' ')[0]!
  // keys of maps may be generated, too
  return [release, kind, path.replace(/\["[^"]*"\]/g, '[]'), lastOf(text)].join('\n')
}

function byRelease({ release }: Sighting, text: string): string {
  return [release, lastOf(text)].join('\n')
}

const always = () => true

function lastOf(text: string): string {
  return text.slice(text.lastIndexOf('/') + 1)
}

/** Whether the site serves the upstream image under this path: without its host, or with it. */
export function isServedAs(upstream: string, path: string): boolean {
  const full = fullName(upstream)
  const bare = full.slice(full.indexOf('/') + 1)
  return (
    path === full || path === bare || (full.startsWith('docker.io/library/') && `library/${path}` === bare)
  )
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
