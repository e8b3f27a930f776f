import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import type { FetchPlace } from './fetch-place.ts'
import { pinSettings } from './pinned-address.ts'
import { isRefName, type RequestedRef } from './ref.ts'
import { remoteError } from './remote-error.ts'
import { GitError, type GitRun, gitOutput } from './run-git.ts'
import { shownUrl } from './url.ts'

/** A commit in a local bare repository, with everything that `history` covers. */
export interface FetchedCommit {
  commit: string
  /** `refs/heads/main`; undefined where a commit was requested */
  ref: string | undefined
  /** the tag object of an annotated tag */
  tag: string | undefined
}

export interface FetchOptions {
  /** a bare repository, empty or of an earlier try */
  repository: string
  url: string
  redirects: FetchPlace['redirects']
  pin?: FetchPlace['pin']
  history: 'shallow' | 'full'
  signal: AbortSignal
}

const local = 'refs/airgap/requested'

/** Fetches what the manifest requests, as it is upstream now. */
export async function fetchRequested(
  ref: RequestedRef,
  options: FetchOptions & { at: string },
): Promise<FetchedCommit> {
  if (ref.type === 'commit') return await fetchLocked({ commit: ref.commit }, options)
  const name = await upstreamRef(ref.name, options)
  await fetchRefspec(`+${name}:${local}`, options)
  return { ref: name, ...(await peeled(local, options)) }
}

/** Fetches exactly this commit (or tag object), whatever became of the ref since. Throws NOT_FOUND_UPSTREAM where it is gone. */
export async function fetchLocked(
  locked: { commit: string; tag?: string | undefined; ref?: string | undefined },
  options: FetchOptions,
): Promise<FetchedCommit> {
  const { commit, tag, ref } = locked
  const wanted = tag ?? commit
  try {
    await fetchRefspec(`+${wanted}:${local}`, options)
  } catch (error) {
    if (!(error instanceof AirgapError) || !(error.cause instanceof GitError)) throw error
    if (!isRefused(error.cause)) throw error
    await fetchFromBranches(wanted, { ...options, ref })
  }
  const found = await peeled(wanted, options)
  if (found.commit === commit && found.tag === tag) return { ref, ...found }
  throw new AirgapError('NOT_FOUND_UPSTREAM', 'the object in the repository is not the locked commit', {
    item: `${shownUrl(options.url)} ${commit}`,
    likely: 'the lock was edited',
    next: 'create the lock again with `airgap lock`',
  })
}

/** The server does not have the object, or serves only what a branch or tag names (protocol versions 0 and 1). */
function isRefused({ stderr }: GitError): boolean {
  return /not our ref|unadvertised object|couldn't find remote ref|unable to find [0-9a-f]{40}|no such remote ref/i.test(
    stderr,
  )
}

/** A commit may be behind the branch by now: the whole history of the branch, or of all branches and tags, is searched for it. */
async function fetchFromBranches(
  wanted: string,
  options: FetchOptions & { ref: string | undefined },
): Promise<void> {
  const { ref } = options
  const everything = ['+refs/heads/*:refs/airgap/heads/*', '+refs/tags/*:refs/airgap/tags/*']
  for (const refspecs of ref === undefined ? [everything] : [[`+${ref}:${local}`], everything]) {
    try {
      await fetchRefspecs(refspecs, { ...options, history: 'full' })
    } catch (error) {
      // the branch itself may be gone
      if (!(error instanceof AirgapError) || !(error.cause instanceof GitError) || !isRefused(error.cause))
        throw error
    }
    if (await hasObject(wanted, options)) return
  }
  throw new AirgapError('NOT_FOUND_UPSTREAM', 'the repository no longer has the locked commit', {
    item: `${shownUrl(options.url)} ${wanted}`,
    likely: 'it was removed by a force push or with its branch, and the server has deleted it since',
    next: 'run `airgap lock` again and review the difference; to keep this commit, build with --reuse and a bundle that has it, or push it from a clone to a repository of your own and use --remap',
  })
}

async function hasObject(id: string, options: FetchOptions): Promise<boolean> {
  try {
    await run(['cat-file', '-e', id], options)
    return true
  } catch (error) {
    if (error instanceof GitError) return false
    throw error
  }
}

async function fetchRefspec(refspec: string, options: FetchOptions): Promise<void> {
  await fetchRefspecs([refspec], options)
}

async function fetchRefspecs(refspecs: readonly string[], options: FetchOptions): Promise<void> {
  const { url, history } = options
  const args = (depth: readonly string[]) => [
    'fetch',
    '--progress',
    '--no-tags',
    '--no-recurse-submodules',
    '--force',
    ...depth,
    '--',
    url,
    ...refspecs,
  ]
  try {
    await run(args(history === 'shallow' ? ['--depth=1'] : []), options, 'network')
  } catch (error) {
    const noDepth =
      error instanceof GitError &&
      /does not support shallow|dumb http transport does not support/i.test(error.stderr)
    if (!noDepth || history === 'full') throw failed(error, url)
    await run(args([]), options, 'network').catch((again: unknown) => {
      throw failed(again, url)
    })
  }
}

/** The error for people, with git's own as its cause. */
function failed(error: unknown, url: string): unknown {
  const shown = remoteError(error, url)
  if (!(shown instanceof AirgapError) || !(error instanceof GitError)) return shown
  const { code, message, item, likely, next } = shown
  return new AirgapError(code, message, { ...defined({ item, likely, next }), cause: error })
}

/** The commit that an object is, or that a tag leads to. */
async function peeled(
  object: string,
  options: FetchOptions,
): Promise<{ commit: string; tag: string | undefined }> {
  const parse = async (revision: string) =>
    (await run(['rev-parse', '--verify', '--quiet', revision], options)).toString('utf8').trim()
  const id = await parse(object)
  let commit: string
  try {
    commit = await parse(`${object}^{commit}`)
  } catch (error) {
    if (!(error instanceof GitError)) throw error
    throw new AirgapError('UNSUPPORTED', 'the ref does not lead to a commit', {
      item: shownUrl(options.url),
      likely: 'a tag of a file or a folder',
      next: 'name a branch, another tag or a commit',
    })
  }
  return { commit, tag: id === commit ? undefined : id }
}

/** The full name of a branch or tag; for `HEAD` that of the default branch. */
async function upstreamRef(name: string, options: FetchOptions & { at: string }): Promise<string> {
  const candidates = name.startsWith('refs/') ? [name] : [`refs/heads/${name}`, `refs/tags/${name}`]
  const patterns = name === 'HEAD' ? ['HEAD'] : candidates
  const lines = await listRemote(patterns, options)
  if (name === 'HEAD') {
    const target = lines.find(line => line.name === 'HEAD' && line.target !== undefined)?.target
    if (target !== undefined && isRefName(target) && target.startsWith('refs/heads/')) return target
    throw noSuchRef('the repository has no default branch', options)
  }
  const found = candidates.filter(candidate => lines.some(line => line.name === candidate))
  if (found.length > 1) {
    throw new AirgapError('UNRESOLVABLE', `${name} is both a branch and a tag`, {
      item: `${shownUrl(options.url)} (${options.at})`,
      next: `write the one you mean: ${found.join(' or ')}`,
    })
  }
  const [only] = found
  if (only === undefined) throw noSuchRef(`the repository has no branch or tag ${name}`, options)
  return only
}

function noSuchRef(what: string, { url, at }: { url: string; at: string }): AirgapError {
  return new AirgapError('NOT_FOUND_UPSTREAM', what, {
    item: `${shownUrl(url)} (${at})`,
    likely: 'a typing error, a ref that was deleted, or the short form of a commit',
    next: `list them with \`git ls-remote ${shownUrl(url)}\`; write all 40 digits of a commit`,
  })
}

interface RemoteLine {
  name: string
  /** of a symbolic ref */
  target?: string
}

async function listRemote(patterns: readonly string[], options: FetchOptions): Promise<RemoteLine[]> {
  let text: string
  try {
    const output = await gitOutput({
      args: ['ls-remote', '--symref', '--', options.url, ...patterns],
      network: options.url.startsWith('file:') ? 'file' : 'remote',
      redirects: options.redirects,
      pinned: await pinSettings(options.pin),
      signal: options.signal,
    })
    text = output.toString('utf8')
  } catch (error) {
    throw failed(error, options.url)
  }
  return text.split('\n').flatMap((line): RemoteLine[] => {
    const [, target, symbolic] = /^ref: (\S+)\t(\S+)$/.exec(line) ?? []
    if (target !== undefined && symbolic !== undefined) return [{ name: symbolic, target }]
    const [, id, name] = /^([0-9a-f]+)\t(\S+)$/.exec(line) ?? []
    if (id === undefined || name === undefined) return []
    if (id.length === 64) throw unsupportedHash(options.url)
    return [{ name }]
  })
}

export function unsupportedHash(url: string): AirgapError {
  return new AirgapError('UNSUPPORTED', 'the repository uses SHA-256 object names', {
    item: shownUrl(url),
    likely: 'it was created with the object format sha256; Flux and many other clients cannot read it either',
    next: 'use a repository with SHA-1 object names',
  })
}

async function run(args: readonly string[], options: FetchOptions, network?: 'network'): Promise<Buffer> {
  const { repository, url, redirects, pin, signal } = options
  const command: GitRun = { args, repository, redirects, signal }
  if (network !== undefined) command.pinned = await pinSettings(pin)
  if (network !== undefined) command.network = url.startsWith('file:') ? 'file' : 'remote'
  return await gitOutput(command)
}
