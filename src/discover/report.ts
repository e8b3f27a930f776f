import { compareText } from '../core/canonical-json.ts'
import type { UsedUrl } from './discover.ts'
import type { UsedImage } from './pair.ts'

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
  /** listed but unused; `others`: other versions of the same image, in other lists */
  unused: (ListedImage & { others: ListedImage[] })[]
  /** listed with a private address: `airgap lock` refuses them */
  privateNames: ListedImage[]
  /** would be pulled from the internet, listed or not */
  leaks: UsedImage[]
  /** images of disabled features that would leak; not findings */
  dormantLeaks: UsedImage[]
  /** would be fetched from the internet by a container */
  urls: UsedUrl[]
  /** would be fetched from the site, but are not in the manifest */
  missingFiles: UsedUrl[]
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
  /** images that charts declare, as full references */
  annotated?: readonly { reference: string; chart: string }[]
}): ImageReport {
  const { used, urls, hasFile, listed, excuses, annotated = [] } = options
  const byUpstream = new Map<string, UsedImage[]>()
  const isFor = ({ upstream, perNode }: UsedImage, reference: string) =>
    reference === upstream || (perNode === true && reference.startsWith(`${upstream}-`))
  for (const image of used) {
    const ofNodes = listed.filter(({ reference }) => isFor(image, reference)).map(one => one.reference)
    for (const name of new Set([image.upstream, ...ofNodes])) {
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
  const unlisted = used.filter(
    image =>
      image.dormant === undefined &&
      !listed.some(({ reference }) => isFor(image, reference)) &&
      !isExcused(image.upstream),
  )
  const unused = listed.filter(
    image => !image.isPrivate && !byUpstream.has(image.reference) && !isExcused(image.reference),
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
    unlisted: sortedBy(unlisted, image => image.upstream),
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
    urls: sortedBy(urls.filter(leadsOut), found => found.url),
    missingFiles: sortedBy(urls.filter(isMissing), found => found.url),
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
    idle: excuses.filter(excuse => !needed.has(excuse)),
  }
}

const fileOf = (at: string) => at.replace(/:\d+:\d+$/, '')

/** Returns host and path of a full reference. */
export function repositoryOf(reference: string): string {
  return reference.replace(/@.*$/, '').replace(/:[^/:]*$/, '')
}

function sortedBy<T>(list: readonly T[], nameOf: (entry: T) => string): T[] {
  return [...list].sort((a, b) => compareText(nameOf(a), nameOf(b)))
}
