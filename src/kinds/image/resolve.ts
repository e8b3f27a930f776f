import { compareText } from '../../core/canonical-json.ts'
import { defined } from '../../core/defined.ts'
import type { Digest } from '../../core/digest.ts'
import { formatReference } from '../../core/reference.ts'
import { checkedSigners } from '../../oci-signatures/check.ts'
import type { ResolveContext } from '../kind.ts'
import type { ImageRequest } from './entry.ts'
import type { LockedImage } from './locked.ts'
import { ImageWalk } from './walk.ts'

const maxReferrers = 100

/** Walks an image from its name down, so that the lock has the digest and size of everything it needs. */
export async function resolveImage(request: ImageRequest, context: ResolveContext): Promise<LockedImage> {
  const walk = new ImageWalk(request, context)
  const root = await context.registry.manifest(request.from)
  const { digest } = root.descriptor
  const signedBy = await checkedSigners(
    { what: 'image', ...request, root },
    { policies: request.signatures, registry: context.registry, now: context.now() },
  )
  await walk.addRoot(root)
  const platforms = [...walk.platforms.keys()].sort(compareText)
  const { digests, tags } = request.referrers
    ? await addReferrers(walk, { request, context })
    : { digests: [], tags: {} }
  const { host, repository } = request.from
  const leftOut = walk.leftOut.sort((a, b) => compareText(a.name, b.name))
  return defined({
    name: formatReference(request.reference),
    from: `${host}/${repository}`,
    digest,
    platforms,
    manifests: [...walk.manifests.values()],
    blobs: [...walk.blobs.values()].sort((a, b) => compareText(a.digest, b.digest)),
    referrers: digests.length > 0 ? digests.sort(compareText) : undefined,
    referrerTags: Object.keys(tags).length > 0 ? tags : undefined,
    signedBy,
    leftOut: leftOut.length > 0 ? leftOut : undefined,
  })
}

/**
 * Adds what refers to the image and its parts, and what refers to that: signatures, SBOMs, signatures of SBOMs. A referrer that cannot
 * be carried is left out: the image runs without it.
 */
async function addReferrers(
  walk: ImageWalk,
  { request, context }: { request: ImageRequest; context: ResolveContext },
): Promise<{ digests: Digest[]; tags: Record<string, Digest> }> {
  const { registry } = context
  const digests = new Set<Digest>()
  const tags: Record<string, Digest> = {}
  // a registry may answer with one more signature for each signature, without end
  const isTooMany = (name: string) => {
    if (digests.size < maxReferrers) return false
    walk.leaveOut({ name, reason: `the image has more than ${maxReferrers} referrers` })
    return true
  }
  // BuildKit's attestations describe an image already; nothing refers to them
  const subjects = [...walk.manifests.keys()].filter(digest => !walk.attestations.has(digest))
  for (const subject of subjects) {
    const { listed, unreadable, tagged } = await registry.referrers(request.from, subject)
    for (const entry of unreadable) walk.leaveOut(entry)
    for (const { digest } of listed) {
      if (digests.has(digest) || isTooMany(digest)) continue
      const added = await walk.addOptional(digest, () => registry.manifest(walk.at(digest)))
      if (added === undefined) continue
      digests.add(digest)
      subjects.push(digest)
    }
    for (const { tag, manifest } of tagged) {
      if (isTooMany(tag)) continue
      const added = await walk.addOptional(tag, async () => manifest)
      if (added === undefined) continue
      tags[tag] = added
      if (!digests.has(added)) subjects.push(added)
      digests.add(added)
    }
  }
  if (digests.size === 0) context.progress.note(`${formatReference(request.reference)} has no referrers`)
  return { digests: [...digests], tags }
}
