import { type Digest, isDigest } from '../core/digest.ts'
import { globMatcher } from '../core/glob.ts'
import { imagesIn } from './images.ts'
import type { RepositoryContent } from './repository.ts'

/** Which tags are removed: those to which all that is set applies. Nothing set: none. */
export interface PrunePolicy {
  /** that many images that have tags and were pushed last stay in each repository, of those that match */
  keep?: number
  /** only what was pushed before, ms since 1970 */
  before?: number
  /** only what one of these patterns matches: `NAME` or `NAME:TAG` as a whole */
  match?: string[]
  /** also manifests without a tag that were pushed before, ms since 1970: a tag was pushed over them */
  untaggedBefore?: number
}

/** What is to be removed from a repository. */
export interface Removal {
  tags: ReadonlySet<string>
  manifests: ReadonlySet<Digest>
}

/** Returns what the policy removes first, without what goes with it. */
export function chosenBy(
  { keep, before, match, untaggedBefore }: PrunePolicy,
  { name, content }: { name: string; content: RepositoryContent },
): Removal {
  const tags = new Set<string>()
  const manifests = new Set<Digest>()
  const images = imagesIn(content)
  const matches = matcher(match)
  if (keep !== undefined || before !== undefined || match !== undefined) {
    const found = images
      .map(image => ({
        ...image,
        tags: image.tags.filter(tag => attachedTo(tag) === undefined && matches(name, tag)),
      }))
      .filter(image => image.tags.length > 0)
    for (const image of found.slice(keep ?? 0))
      if (before === undefined || Date.parse(image.pushed) < before)
        for (const tag of image.tags) tags.add(tag)
  }
  if (untaggedBefore !== undefined)
    for (const { digest, tags: own, partOf, subject, pushed } of images)
      if (own.length + partOf.length === 0 && subject === null && Date.parse(pushed) < untaggedBefore)
        if (matches(name)) manifests.add(digest)
  return { tags, manifests }
}

/**
 * Returns the content of a repository without what is to be removed, and without what nothing else needs then: manifests that had only these
 * tags, their children, and what was attached to them. `isHeld` says whether a bundle has a manifest: then what is attached to it stays.
 */
export function without(
  { tags, manifests }: RepositoryContent,
  { chosen, isHeld }: { chosen: Removal; isHeld: (digest: Digest) => boolean },
): { content: RepositoryContent; removed: Removal } {
  const gone = new Set<Digest>(chosen.manifests)
  const rest = new Map([...tags].filter(([tag, digest]) => !chosen.tags.has(tag) && !gone.has(digest)))
  const users = new Map<Digest, number>()
  const count = (digest: Digest, by: number) => users.set(digest, (users.get(digest) ?? 0) + by)
  for (const digest of rest.values()) count(digest, 1)
  for (const { children } of manifests.values()) for (const { digest } of children) count(digest, 1)
  const isUnused = (digest: Digest) => (users.get(digest) ?? 0) === 0
  const waiting = [...chosen.manifests]
  const drop = (digest: Digest) => {
    if (gone.has(digest) || !manifests.has(digest) || !isUnused(digest)) return
    gone.add(digest)
    waiting.push(digest)
  }
  for (const tag of chosen.tags) {
    const digest = tags.get(tag)
    if (digest !== undefined) drop(digest)
  }
  const attached = attachments({ tags, manifests })
  for (let digest = waiting.pop(); digest !== undefined; digest = waiting.pop()) {
    for (const child of manifests.get(digest)?.children ?? []) {
      count(child.digest, -1)
      drop(child.digest)
    }
    if (isHeld(digest)) continue
    const { referrers = [], tags: own = [] } = attached.get(digest) ?? {}
    for (const tag of own) {
      const target = rest.get(tag)
      if (target === undefined) continue
      rest.delete(tag)
      count(target, -1)
      drop(target)
    }
    for (const referrer of referrers) drop(referrer)
  }
  const removed = {
    tags: new Set([...tags.keys()].filter(tag => !rest.has(tag))),
    manifests: gone,
  }
  const left = new Map([...manifests].filter(([digest]) => !gone.has(digest)))
  return { content: { tags: rest, manifests: left }, removed }
}

interface Attached {
  referrers: Digest[]
  tags: string[]
}

/** What is attached to each manifest, as a referrer or under a tag of its digest. */
function attachments({ tags, manifests }: RepositoryContent): Map<Digest, Attached> {
  const found = new Map<Digest, Attached>()
  const of = (subject: Digest) => {
    const known = found.get(subject) ?? { referrers: [], tags: [] }
    found.set(subject, known)
    return known
  }
  for (const { descriptor, subject } of manifests.values())
    if (subject !== undefined) of(subject).referrers.push(descriptor.digest)
  for (const tag of tags.keys()) {
    const subject = attachedTo(tag)
    if (subject !== undefined) of(subject).tags.push(tag)
  }
  return found
}

/** `sha256-HEX` (distribution-spec v1.1, "Referrers Tag Schema") and `sha256-HEX.sig` (cosign) belong to the manifest with that digest. */
function attachedTo(tag: string): Digest | undefined {
  const [, hex] = /^sha256-([0-9a-f]{64})(?:\.[a-z]+)?$/.exec(tag) ?? []
  const digest = `sha256:${hex}`
  return isDigest(digest) ? digest : undefined
}

function matcher(patterns: readonly string[] | undefined): (name: string, tag?: string) => boolean {
  if (patterns === undefined) return () => true
  const tests = patterns.map(pattern => globMatcher(pattern, { paths: true }))
  return (name, tag) =>
    tests.some(matches => matches(name) || (tag !== undefined && matches(`${name}:${tag}`)))
}
