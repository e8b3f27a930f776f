import { randomBytes } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError } from '../../core/errors.ts'
import { firstOf } from '../../remote/mirrors.ts'
import type { FoundSecret } from '../declared-secrets.ts'
import type { ResolveContext } from '../kind.ts'
import { secretIn } from '../secret-files.ts'
import type { FetchedCommit, FetchOptions } from './fetch-commit.ts'
import { fetchPlace } from './fetch-place.ts'
import { type CommitFile, checkLink, filesOfCommit } from './files-of-commit.ts'
import { isLfsPointer, maxPointer } from './lfs.ts'
import type { LockedRepository } from './locked.ts'
import { type GitObject, objectsOfCommit, objectsOfHistory, readObjects } from './objects.ts'
import { writePack } from './pack.ts'
import { gitOutput } from './run-git.ts'

/** A repository whose packs are in the cache. */
export interface CarriedRepository
  extends Pick<LockedRepository, 'commit' | 'ref' | 'tag' | 'cut' | 'packs'> {
  /** paths of files that are pointers of Git LFS */
  lfsPointers: string[]
  /** files of the commit that look like secrets */
  secrets: FoundSecret[]
}

export interface RepositoryWork {
  url: string
  history: 'shallow' | 'full'
  /** the repository whose .gitmodules names this one; absent where a person does */
  namedBy?: string
  /** fetches the commit into the repository that it is given */
  fetch: (options: FetchOptions) => Promise<FetchedCommit>
  /** looks at the files of the commit before its objects are written; the repository is deleted afterwards */
  inspect?: (files: readonly CommitFile[], repository: string) => Promise<void>
}

/**
 * Fetches a commit into a temporary repository, checks its files and writes its objects as packs into the cache. The packs are a
 * function of commit, tag and history alone: what is locked on one machine is created again on another.
 */
export async function carryRepository(
  work: RepositoryWork,
  context: ResolveContext,
): Promise<CarriedRepository> {
  const { cache, http, progress, signal } = context
  return await firstOf(
    http.mirrors(work.url),
    async url => {
      // the place of a remapped source is the person's own
      const namedBy = url === work.url ? work.namedBy : undefined
      const place = await fetchPlace(url, { http, namedBy })
      const repository = join(cache.folder, `git-${randomBytes(6).toString('hex')}.tmp`)
      try {
        await mkdir(repository, { mode: 0o700 })
        await gitOutput({ args: ['init', '--bare', '--quiet', '--template=', repository], signal })
        const fetched = await work.fetch({ repository, ...place, history: work.history, signal })
        return await packed(fetched, { repository, work, context })
      } finally {
        await rm(repository, { recursive: true, force: true })
      }
    },
    { progress, signal },
  )
}

async function packed(
  { commit, ref, tag }: FetchedCommit,
  place: { repository: string; work: RepositoryWork; context: ResolveContext },
): Promise<CarriedRepository> {
  const { repository, work, context } = place
  const { cache, signal } = context
  const files = await filesOfCommit(commit, { repository, url: work.url, signal })
  await work.inspect?.(files, repository)
  const inspected = new FileInspection(files, work.url)
  const tip = await objectsOfCommit(tag ?? commit, { repository, signal })
  const objects = inspected.watch(readObjects(tip, { repository, signal }))
  const packs = [await writePack(objects, { count: tip.length, cache })]
  const hasParents = await hasParent(commit, { repository, signal })
  if (work.history === 'full' && hasParents) {
    const own = new Set(tip)
    const older = (await objectsOfHistory(commit, { repository, signal })).filter(id => !own.has(id))
    // a commit may undo everything that its ancestors did, but each has an object of its own
    if (older.length > 0)
      packs.push(await writePack(readObjects(older, { repository, signal }), { count: older.length, cache }))
  }
  const found: CarriedRepository = {
    commit,
    packs,
    lfsPointers: inspected.lfsPointers.sort(),
    secrets: inspected.secrets,
  }
  if (ref !== undefined) found.ref = ref
  if (tag !== undefined) found.tag = tag
  if (work.history === 'shallow' && hasParents) found.cut = true
  return found
}

async function hasParent(
  commit: string,
  { repository, signal }: { repository: string; signal: AbortSignal },
): Promise<boolean> {
  const text = (await gitOutput({ args: ['cat-file', 'commit', commit], repository, signal })).toString(
    'latin1',
  )
  return /^parent /m.test(text.slice(0, text.indexOf('\n\n')))
}

/** Start of a file that is searched for secrets. */
const searched = 1 << 20 /* bytes */

/** Looks at the start of each file of the commit while it passes, and at the whole of small ones. */
class FileInspection {
  readonly lfsPointers: string[] = []
  readonly secrets: FoundSecret[] = []
  readonly #paths = new Map<string, CommitFile[]>()
  readonly #url: string

  constructor(files: readonly CommitFile[], url: string) {
    this.#url = url
    for (const file of files) {
      const others = this.#paths.get(file.id)
      if (others === undefined) this.#paths.set(file.id, [file])
      else others.push(file)
    }
  }

  async *watch(objects: AsyncIterable<GitObject>): AsyncGenerator<GitObject> {
    for await (const object of objects) {
      const files = object.type === 'blob' ? (this.#paths.get(object.id) ?? []) : []
      const links = files.filter(({ mode }) => mode === '120000')
      if (files.length === 0 || object.size >= maxPointer) {
        const [link] = links
        if (link !== undefined) throw tooLong(link.path)
        yield files.length === 0 ? object : { ...object, content: this.#search(object, files) }
        continue
      }
      const chunks: Buffer[] = []
      for await (const chunk of object.content) chunks.push(chunk)
      const content = Buffer.concat(chunks)
      for (const { path } of links) checkLink(path, content.toString('utf8'), this.#url)
      this.#note(content, files)
      if (isLfsPointer(content))
        for (const { path, mode } of files) if (mode !== '120000') this.lfsPointers.push(path)
      yield { ...object, content: asyncOf(content) }
    }
  }

  async *#search({ content }: GitObject, files: readonly CommitFile[]): AsyncGenerator<Buffer> {
    const start: Buffer[] = []
    let size = 0
    for await (const chunk of content) {
      if (size < searched) start.push(Buffer.from(chunk.subarray(0, searched - size)))
      size += chunk.length
      yield chunk
    }
    this.#note(Buffer.concat(start), files)
  }

  #note(start: Buffer, files: readonly CommitFile[]): void {
    for (const { path, mode } of files) {
      const what = mode === '120000' ? undefined : secretIn(path, start)
      if (what !== undefined) this.secrets.push({ path, what })
    }
  }
}

async function* asyncOf(content: Buffer): AsyncGenerator<Buffer> {
  yield content
}

function tooLong(path: string): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', 'the target of a link is longer than any path may be', {
    item: JSON.stringify(path.slice(0, 300)),
    likely: 'a broken or malicious repository',
    next: 'do not use this repository',
  })
}
