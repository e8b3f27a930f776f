import { defined } from '../core/defined.ts'
import { isErrorCode } from '../core/errors.ts'
import { collect, type Rendering } from './collect.ts'
import type { Deployment, Renderer } from './deployment.ts'
import { type RenderedObject, renderedObjects } from './documents.ts'
import type { Found, FoundUrl, Undecided } from './found.ts'
import { pairImages, type UsedImage } from './pair.ts'
import type { DownloadedChart } from './remote-charts.ts'
import { type RemoteSchema, type RenderedRelease, renderDeployment } from './render.ts'
import type { Failure } from './render-failures.ts'

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
  /** what cannot be decided */
  undecided: Undecided[]
  /** names of the releases that were rendered */
  releases: string[]
  /** releases, or whole environments, that do not render */
  failures: Failure[]
  /** charts that helmfile would download */
  charts: DownloadedChart[]
  /** values schemas that helm would fetch from the internet */
  schemas: RemoteSchema[]
}

/** Renders all releases of the deployments and finds every image and URL that they use. */
export async function discover(deployments: readonly Deployment[], renderer: Renderer): Promise<Discovered> {
  const found: { site: Found; public: Found } = { site: nothing(), public: nothing() }
  const releases = new Set<string>()
  const result: Pick<Discovered, 'failures' | 'charts' | 'schemas'> = {
    failures: [],
    charts: [],
    schemas: [],
  }
  for (const deployment of deployments) {
    const rendering = await renderDeployment(deployment, { addresses: site, renderer })
    for (const name of ['site', 'public'] as const) {
      const renderings: Rendering[] = []
      for (const rendered of rendering[name]) {
        const objects = objectsOf(rendered, deployment)
        if ('item' in objects) {
          result.failures.push(objects)
          continue
        }
        const { release, condition } = rendered
        renderings.push(defined({ release: `${deployment.environment}: ${release}`, objects, condition }))
        releases.add(release)
      }
      const { images, urls, undecided } = collect(renderings)
      found[name].images.push(...images)
      found[name].urls.push(...urls)
      found[name].undecided.push(...undecided)
    }
    const inEnvironment = (release: string) => `${deployment.environment}: ${release}`
    result.failures.push(...rendering.failures)
    result.charts.push(
      ...rendering.charts.map(chart => ({ ...chart, releases: chart.releases.map(inEnvironment) })),
    )
    result.schemas.push(
      ...rendering.schemas.map(schema => ({ ...schema, release: inEnvironment(schema.release) })),
    )
  }
  return {
    images: pairImages(found, site.registry),
    urls: usedUrls(found.site.urls),
    undecided: found.site.undecided,
    releases: [...releases],
    ...result,
  }
}

/** Returns the objects of a release, or a failure for output that is not YAML. */
function objectsOf(
  { text, release }: RenderedRelease,
  { environment }: Deployment,
): RenderedObject[] | Failure {
  try {
    return renderedObjects(text, `${environment}: ${release}`)
  } catch (error) {
    if (!isErrorCode(error, 'RENDER_FAILED')) throw error
    const { item = release, message, likely, next = '' } = error
    return { item, likely: [message, likely].filter(Boolean).join(': '), next }
  }
}

function nothing(): Found {
  return { images: [], urls: [], undecided: [] }
}

function usedUrls(found: readonly FoundUrl[]): UsedUrl[] {
  const urls = new Map<string, UsedUrl>()
  for (const { url, seen } of found) {
    // a chart or an image that the site's registry has
    if (/^(?:oci|docker):\/\//.test(url) && url.includes(`//${site.registry}/`)) continue
    const known = urls.get(url)
    if (known !== undefined) known.seen.push(seen)
    else if (url.startsWith(`${site.httpServer}/`))
      urls.set(url, { url, path: url.slice(site.httpServer.length), seen: [seen] })
    else urls.set(url, { url, seen: [seen] })
  }
  return [...urls.values()]
}
