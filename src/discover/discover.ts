import { collect } from './collect.ts'
import type { Found, FoundUrl } from './found.ts'
import { pairImages, type UsedImage } from './pair.ts'
import { type Deployment, type Renderer, renderReleases } from './render.ts'

/** Placeholders for the site's servers: reserved names (RFC 6761), so that they match nothing else in a chart. */
const site = { registry: 'registry.airgap.invalid:35000', httpServer: 'http://files.airgap.invalid:8080' }

/** A URL that a container will fetch. */
export interface UsedUrl {
  url: string
  /** path on the site's HTTP server; undefined for an internet URL */
  path?: string
  seen: FoundUrl['seen'][]
}

export interface Discovered {
  images: UsedImage[]
  urls: UsedUrl[]
  /** names of the releases that were rendered */
  releases: string[]
}

/** Renders all releases of the deployments and finds every image and URL that they use. */
export async function discover(deployments: readonly Deployment[], renderer: Renderer): Promise<Discovered> {
  const renderings: { site: Found; public: Found } = { site: nothing(), public: nothing() }
  const releases = new Set<string>()
  for (const deployment of deployments) {
    for (const [name, addresses] of [
      ['site', site],
      ['public', { registry: '', httpServer: '' }],
    ] as const) {
      for (const { release, text } of await renderReleases(deployment, { addresses, renderer })) {
        const found = collect(text, `${deployment.environment}: ${release}`)
        renderings[name].images.push(...found.images)
        renderings[name].urls.push(...found.urls)
        releases.add(release)
      }
    }
  }
  return {
    images: pairImages(renderings, site.registry),
    urls: usedUrls(renderings.site.urls),
    releases: [...releases],
  }
}

function nothing(): Found {
  return { images: [], urls: [] }
}

function usedUrls(found: readonly FoundUrl[]): UsedUrl[] {
  const urls = new Map<string, UsedUrl>()
  for (const { url, seen } of found) {
    const known = urls.get(url)
    if (known !== undefined) known.seen.push(seen)
    else if (url.startsWith(`${site.httpServer}/`))
      urls.set(url, { url, path: url.slice(site.httpServer.length), seen: [seen] })
    else urls.set(url, { url, seen: [seen] })
  }
  return [...urls.values()]
}
