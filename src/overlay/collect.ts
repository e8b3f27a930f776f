import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import type { BlobFiles } from './blob-files.ts'
import { type Repository, type RepositoryContent, referredBy } from './repository.ts'
import type { Reserve } from './reserve.ts'

/** How much content was removed, or would be. */
export interface Collected {
  blobs: number
  bytes: number
  /** unreferenced, too, but linked so recently that it may belong to a push that is not finished */
  recent: { blobs: number; bytes: number }
}

export interface Collection {
  repositories: ReadonlyMap<string, Repository>
  blobs: BlobFiles
  /** names of repositories that cannot be read */
  unreadable: readonly string[]
  reserve: Reserve
}

/** A link that nothing refers to, and that was made before, is removed (ms since 1970). */
interface Until {
  before: number
}

/**
 * Removes content to which no manifest of any repository refers, unless a repository has linked it since `before`. Links go first, each on
 * disk before its content: a process that is killed leaves content that nothing refers to, which the next run removes. Throws IO where a
 * repository cannot be read: what it refers to is not known.
 */
export async function collect(
  { repositories, blobs, unreadable, reserve }: Collection,
  { before }: Until,
): Promise<Collected> {
  refuseUnreadable(unreadable)
  for (const repository of repositories.values()) {
    const stale = () => staleLinks(repository, { content: repository.content, before })
    if (stale().length > 0) await repository.inTurn(() => reserve.withSpace(() => repository.unlink(stale())))
  }
  const { removed, recent } = unneeded(repositories, {
    blobs,
    before: Number.NaN,
    contentOf: one => one.content,
  })
  let [count, bytes] = [0, 0]
  for (const { digest, size } of removed) {
    if (!(await blobs.remove(digest))) continue
    count++
    bytes += size
  }
  return { blobs: count, bytes, recent: totalOf(recent) }
}

/** Returns what `collect` would remove if each repository had this content. */
export function collectable(
  { repositories, blobs, unreadable }: Collection,
  { before, contentOf }: Until & { contentOf: (repository: Repository) => RepositoryContent },
): Collected {
  refuseUnreadable(unreadable)
  const { removed, recent } = unneeded(repositories, { blobs, before, contentOf })
  return { ...totalOf(removed), recent: totalOf(recent) }
}

interface SizedDigest {
  digest: Digest
  size: number
}

/** Splits the content that no manifest refers to; `before` is NaN where old links are gone already. */
function unneeded(
  repositories: Collection['repositories'],
  {
    blobs,
    before,
    contentOf,
  }: Until & { blobs: BlobFiles; contentOf: (repository: Repository) => RepositoryContent },
): { removed: SizedDigest[]; recent: SizedDigest[] } {
  const needed = new Set<string>()
  const linked = new Set<Digest>()
  for (const repository of repositories.values()) {
    const content = contentOf(repository)
    for (const digest of referredBy(content)) needed.add(digest)
    // it may only have been unreadable for a moment
    for (const digest of repository.damaged) needed.add(digest)
    const stale = new Set(Number.isNaN(before) ? [] : staleLinks(repository, { content, before }))
    for (const digest of repository.blobs.keys()) {
      if (repository.damaged.size > 0) needed.add(digest)
      else if (!stale.has(digest)) linked.add(digest)
    }
  }
  const free = [...blobs.sizes]
    .filter(([digest]) => !needed.has(digest))
    .map(([digest, size]) => ({ digest, size }))
  return {
    removed: free.filter(({ digest }) => !linked.has(digest)),
    recent: free.filter(({ digest }) => linked.has(digest)),
  }
}

/** The links of a repository that are old, and that none of its manifests refers to. */
function staleLinks(
  repository: Repository,
  { content, before }: Until & { content: RepositoryContent },
): Digest[] {
  // a manifest whose bytes are damaged may be restored, and nobody knows what it refers to
  if (repository.damaged.size > 0) return []
  const needed = referredBy(content)
  return [...repository.blobs]
    .filter(([digest, { at }]) => !needed.has(digest) && !(Date.parse(at) >= before))
    .map(([digest]) => digest)
}

function totalOf(content: readonly SizedDigest[]): { blobs: number; bytes: number } {
  return { blobs: content.length, bytes: content.reduce((sum, { size }) => sum + size, 0) }
}

function refuseUnreadable([name]: readonly string[]): void {
  if (name === undefined) return
  throw new AirgapError('IO', 'no content is removed while a repository of the overlay cannot be read', {
    item: name,
    likely: 'its files were damaged or edited: which content it refers to is not known',
    next: 'restore its folder from a backup, or remove it; then start the servers again',
  })
}
