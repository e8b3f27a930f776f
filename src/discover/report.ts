import { compareText } from '../core/canonical-json.ts'
import { textBefore } from '../core/trim.ts'
import type { UsedUrl } from './discover.ts'
import type { Undecided } from './found.ts'
import { isServedAs, type UsedImage } from './pair.ts'
import type { DownloadedChart } from './remote-charts.ts'
import type { RemoteSchema } from './render.ts'
import type { Failure } from './render-failures.ts'

/** An image that the manifest lists. */
export interface ListedImage {
  /** full reference */
  reference: string
  /** `file:line:column` */
  at: string
  /** its registry has a private address, which only one network can reach */
  isPrivate?: true
}

/** A finding that is expected: the name of the image, or a URL, and the reason. */
export interface Excuse {
  name: string
  reason: string
  at: string
}

export interface ImageReport {
  /** used and listed */
  agreed: { reference: string; at: string; used: UsedImage[] }[]
  /** used but not listed: would be missing on the site */
  unlisted: UsedImage[]
  /** pulled from the site, but nothing shows from where they come, and no listed image is served under that path */
  unknown: UsedImage[]
  /** listed but unused, empty if something was not rendered; `others`: other versions of the same image, in other lists */
  unused: (ListedImage & { others: ListedImage[] })[]
  /** listed with a private address: `airgap lock` refuses them */
  privateNames: ListedImage[]
  /** would be pulled from the internet, listed or not */
  leaks: UsedImage[]
  /** images of disabled features that would leak; not findings */
  dormantLeaks: UsedImage[]
  /** images of disabled features that would be pulled from the site, but are not listed; not findings */
  dormantUnlisted: UsedImage[]
  /** would be fetched from the internet by a container */
  urls: UsedUrl[]
  /** would be fetched from the site, but are not in the manifest */
  missingFiles: UsedUrl[]
  /** charts that helmfile would download from the internet */
  charts: DownloadedChart[]
  /** values schemas that helm would fetch from the internet */
  schemas: RemoteSchema[]
  /** what does not render: its images are not in this report */
  failures: Failure[]
  /** cannot be decided from the rendering: a version or an image that an operator chooses; not findings */
  undecided: Undecided[]
  /** declared by a chart's annotations, but neither used nor listed; not findings */
  annotated: { reference: string; chart: string }[]
  /** findings that are excused */
  excused: { name: string; reason: string }[]
  /** excuses that match no finding */
  idle: Excuse[]
}

/** Compares the discovered images and URLs with the listed ones. Every list of the result is sorted by name. */
export function compareImages(options: {
  used: readonly UsedImage[]
  urls: readonly UsedUrl[]
  /** whether the site's HTTP server will have the path */
  hasFile: (path: string) => boolean
  listed: readonly ListedImage[]
  excuses: readonly Excuse[]
  undecided?: readonly Undecided[]
  /** images that charts declare, as full references */
  annotated?: readonly { reference: string; chart: string }[]
  charts?: readonly DownloadedChart[]
  schemas?: readonly RemoteSchema[]
  failures?: readonly Failure[]
}): ImageReport {
  const {
    used,
    urls,
    hasFile,
    listed,
    excuses,
    undecided = [],
    annotated = [],
    charts = [],
    schemas = [],
    failures = [],
  } = options
  const byUpstream = new Map<string, UsedImage[]>()
  for (const image of used) {
    const ofNodes = listed.filter(({ reference }) => isFor(image, reference)).map(one => one.reference)
    for (const name of new Set([...(image.unknown ? [] : [image.upstream]), ...ofNodes])) {
      const others = byUpstream.get(name)
      if (others) others.push(image)
      else byUpstream.set(name, [image])
    }
  }
  const needed = new Set<Excuse>()
  const isExcused = (name: string): boolean => {
    const found = excuses.filter(excuse => excuse.name === name)
    for (const excuse of found) needed.add(excuse)
    return found.length > 0
  }
  const missing = used.filter(
    image =>
      image.dormant === undefined &&
      !listed.some(({ reference }) => isFor(image, reference)) &&
      !isExcused(image.upstream),
  )
  // what was not rendered may use them
  const isComplete = failures.length === 0
  const unused = listed.filter(
    image =>
      isComplete && !image.isPrivate && !byUpstream.has(image.reference) && !isExcused(image.reference),
  )
  const leaks = used.filter(image => image.leak && !isExcused(image.upstream))
  const isMissing = ({ url, path }: UsedUrl) => path !== undefined && !hasFile(path) && !isExcused(url)
  const leadsOut = ({ url, path }: UsedUrl) => path === undefined && !isExcused(url)
  return {
    agreed: sortedBy(
      listed.flatMap(({ reference, at }) => {
        const found = byUpstream.get(reference)
        return found === undefined ? [] : [{ reference, at, used: found }]
      }),
      image => image.reference,
    ),
    unlisted: sortedBy(
      missing.filter(image => !image.unknown),
      image => image.upstream,
    ),
    unknown: sortedBy(
      missing.filter(image => image.unknown),
      image => image.upstream,
    ),
    unused: sortedBy(unused, image => image.reference).map(image => ({
      ...image,
      others: listed.filter(
        other =>
          fileOf(other.at) !== fileOf(image.at) &&
          repositoryOf(other.reference) === repositoryOf(image.reference),
      ),
    })),
    privateNames: sortedBy(
      listed.filter(image => image.isPrivate),
      image => image.reference,
    ),
    leaks: sortedBy(
      leaks.filter(image => image.dormant === undefined),
      image => image.upstream,
    ),
    dormantLeaks: sortedBy(
      leaks.filter(image => image.dormant !== undefined),
      image => image.upstream,
    ),
    dormantUnlisted: sortedBy(
      used.filter(
        image =>
          image.dormant !== undefined &&
          !image.leak &&
          !listed.some(({ reference }) => isFor(image, reference)) &&
          !isExcused(image.upstream),
      ),
      image => image.upstream,
    ),
    urls: sortedBy(urls.filter(leadsOut), found => found.url),
    missingFiles: sortedBy(urls.filter(isMissing), found => found.url),
    charts: sortedBy(
      charts.filter(({ chart }) => !isExcused(chart.reference)),
      ({ chart }) => chart.reference,
    ),
    schemas: sortedBy(
      schemas.filter(({ urls }) => !urls.every(isExcused)),
      ({ release, path }) => `${release} ${path}`,
    ),
    failures: [...failures],
    undecided: sortedBy(
      undecided.filter(({ subject }) => !isExcused(subject)),
      one => one.subject,
    ),
    annotated: sortedBy(
      annotated.filter(
        ({ reference }) => !byUpstream.has(reference) && !listed.some(one => one.reference === reference),
      ),
      image => image.reference,
    ),
    excused: sortedBy(
      [...needed].map(({ name, reason }) => ({ name, reason })),
      excuse => excuse.name,
    ),
    idle: isComplete ? excuses.filter(excuse => !needed.has(excuse)) : [],
  }
}

/** Whether a listed reference is the used image, or one of those that its operator derives for the OS of each node. */
function isFor({ upstream, unknown, perNode }: UsedImage, reference: string): boolean {
  if (perNode && isPerNodeOf(reference, { upstream, unknown: unknown === true })) return true
  return unknown ? isServedAs(reference, upstream) : reference === upstream
}

function isPerNodeOf(
  reference: string,
  { upstream, unknown }: { upstream: string; unknown: boolean },
): boolean {
  if (!unknown) return reference.startsWith(`${upstream}-`)
  const bare = reference.slice(reference.indexOf('/') + 1)
  return [reference, bare].some(name => name.startsWith(`${upstream}-`))
}

const fileOf = (at: string) => at.replace(/:\d+:\d+$/, '')

/** Returns host and path of a full reference. */
export function repositoryOf(reference: string): string {
  return textBefore(reference, '@').replace(/:[^/:]*$/, '')
}

function sortedBy<T>(list: readonly T[], nameOf: (entry: T) => string): T[] {
  return [...list].sort((a, b) => compareText(nameOf(a), nameOf(b)))
}
