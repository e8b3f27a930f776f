import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { type Collected, type Collection, collect, collectable } from './collect.ts'
import type { ImageName } from './images.ts'
import { chosenBy, type PrunePolicy, type Removal, without } from './prune.ts'
import type { Repository, RepositoryContent } from './repository.ts'

/** Which images are to be removed. */
export interface RemovedImages {
  /** these names, or what a policy chooses */
  chosen: { named: readonly ImageName[] } | { policy: PrunePolicy }
  /** whether a bundle has this content: what is attached to it stays */
  isHeld: (digest: Digest) => boolean
  /** content that was linked later stays (collect.ts), ms since 1970 */
  before: number
  /** only says what would be removed */
  dryRun: boolean
}

/** What was removed, or would be. */
export interface Removed {
  tags: { name: string; tag: string; digest: Digest }[]
  manifests: { name: string; digest: Digest }[]
  content: Collected
}

/**
 * Removes tags and manifests, then content that nothing refers to any more. Throws NOT_FOUND for a name that was not pushed, PERMISSION for a
 * manifest that an index refers to (then nothing is removed), and what `collect` throws.
 */
export async function removeImages(
  collection: Collection,
  { chosen, isHeld, before, dryRun }: RemovedImages,
): Promise<Removed> {
  const choose = 'policy' in chosen ? byPolicy(chosen.policy) : byName(chosen.named, collection.repositories)
  const planned = [...collection.repositories.values()].map(repository => {
    const { content } = repository
    return { repository, before: content, ...without(content, { chosen: choose(repository), isHeld }) }
  })
  const changed = planned.filter(({ removed }) => removed.tags.size + removed.manifests.size > 0)
  const result = changed.map(({ repository: { name }, before: { tags }, removed }) => ({
    tags: [...removed.tags].map(tag => ({ name, tag, digest: tags.get(tag)! })),
    manifests: [...removed.manifests].map(digest => ({ name, digest })),
  }))
  const listed = {
    tags: result.flatMap(one => one.tags),
    manifests: result.flatMap(one => one.manifests),
  }
  const after = new Map(planned.map(({ repository, content }) => [repository, content]))
  const contentOf = (repository: Repository) => after.get(repository) ?? repository.content
  // also before a change: it throws where content cannot be removed
  const preview = collectable(collection, { before, contentOf })
  if (dryRun) return { ...listed, content: preview }
  for (const { repository } of changed) {
    await repository.inTurn(async () => {
      // what was pushed in the meantime stays
      const { content, removed } = without(repository.content, { chosen: choose(repository), isHeld })
      if (removed.tags.size + removed.manifests.size > 0)
        await collection.reserve.withSpace(() => repository.replace(content))
    })
  }
  return { ...listed, content: await collect(collection, { before }) }
}

type Choose = (repository: Repository) => Removal

function byPolicy(policy: PrunePolicy): Choose {
  // manifests without a tag may belong to an index that is damaged
  const { untaggedBefore: _, ...others } = policy
  return ({ name, content, damaged }) => chosenBy(damaged.size > 0 ? others : policy, { name, content })
}

function byName(named: readonly ImageName[], repositories: Collection['repositories']): Choose {
  const found = new Map<Repository, { tags: Set<string>; manifests: Set<Digest> }>()
  for (const image of named) {
    const repository = image.names.map(name => repositories.get(name)).find(one => one && has(one, image))
    if (repository === undefined) throw notPushed(image)
    const { tags, manifests } = found.get(repository) ?? { tags: new Set(), manifests: new Set() }
    if ('tag' in image.reference) tags.add(image.reference.tag)
    else manifests.add(image.reference.digest)
    found.set(repository, { tags, manifests })
  }
  for (const [{ content }, { manifests }] of found) {
    for (const digest of manifests) refuseUsed(content, { digest, as: 'children', except: manifests })
  }
  return repository => found.get(repository) ?? { tags: new Set(), manifests: new Set() }
}

function has({ content }: Repository, { reference }: ImageName): boolean {
  return 'tag' in reference ? content.tags.has(reference.tag) : content.manifests.has(reference.digest)
}

function notPushed({ text }: ImageName): AirgapError {
  return new AirgapError('NOT_FOUND', 'no such image was pushed here; nothing was removed', {
    item: text,
    likely: 'it was deleted before, or a bundle holds it: that can be removed with its bundle only',
    next: 'run `offline-deploy images list`',
  })
}

/** An image must not lose a part: a deletion would break every pull of it. `except`: manifests that are deleted, too. */
export function refuseUsed(
  { manifests }: RepositoryContent,
  {
    digest,
    as,
    except = new Set(),
  }: { digest: Digest; as: 'blobs' | 'children'; except?: ReadonlySet<Digest> },
): void {
  const user = [...manifests.values()].find(record => {
    const parts = as === 'blobs' ? [...record.blobs, ...record.optional] : record.children
    return !except.has(record.descriptor.digest) && parts.some(one => one.digest === digest)
  })
  if (user === undefined) return
  throw new AirgapError(
    'PERMISSION',
    `the ${as === 'blobs' ? 'blob' : 'manifest'} belongs to another manifest`,
    {
      item: digest,
      likely: `${user.descriptor.digest} refers to it`,
      next: 'delete that manifest first',
    },
  )
}
