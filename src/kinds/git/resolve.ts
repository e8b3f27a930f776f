import { compareText } from '../../core/canonical-json.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { declaredSecrets, type FoundSecret } from '../declared-secrets.ts'
import type { ResolveContext } from '../kind.ts'
import { type CarriedRepository, carryRepository } from './carry-repository.ts'
import type { GitRequest } from './entry.ts'
import { fetchLocked, fetchRequested } from './fetch-commit.ts'
import { lfsRefused } from './lfs.ts'
import type { LockedGit, LockedRepository } from './locked.ts'
import { recipeSchema } from './recipe.ts'
import { type Submodule, submodulesOf, submodulesRefused } from './submodules.ts'
import { shownUrl } from './url.ts'

/** More submodules than this are a mistake or an attack. */
const maxSubmodules = 200

/** Resolves a ref to its commit, and writes the commit into the cache as packs; follows submodules where the manifest says so. */
export async function resolveGit(request: GitRequest, context: ResolveContext): Promise<LockedGit> {
  const { at, name, url, history } = request
  const submodules: Submodule[] = []
  const found = await carryRepository(
    {
      url,
      history,
      fetch: options => fetchRequested(request.ref, { ...options, at }),
      inspect: async (files, repository) => {
        if (request.submodules === 'refuse') submodulesRefused(files, { url, at })
        else
          submodules.push(
            ...(await submodulesOf(files, { repository, url, name, at, signal: context.signal })),
          )
      },
    },
    context,
  )
  let pointers = checkPointers(found, request)
  const secrets = [...found.secrets]
  const locked: NonNullable<LockedGit['submodules']> = []
  // the list grows while it is walked through: submodules have submodules
  for (const submodule of submodules) {
    if (submodules.length > maxSubmodules) throw tooMany(request)
    const inner = await carrySubmodule(submodule, { request, context, found: submodules })
    pointers += checkPointers(inner, request)
    secrets.push(...inner.secrets.map(file => ({ ...file, path: `${submodule.path}/${file.path}` })))
    locked.push({ ...repositoryOf(inner, { ...submodule, history }), path: submodule.path })
  }
  const declared = checkSecrets(secrets, request)
  for (const { path, what, reason } of declared)
    context.progress.note(`git ${name} carries ${path}: ${what} (declared: ${reason})`)
  return {
    ...repositoryOf(found, { name, url, history }),
    ...defined({
      lfsPointers: pointers > 0 ? pointers : undefined,
      secrets: declared.length > 0 ? declared : undefined,
      submodules: locked.length > 0 ? locked.sort((a, b) => compareText(a.path, b.path)) : undefined,
    }),
  }
}

async function carrySubmodule(
  submodule: Submodule,
  { request, context, found }: { request: GitRequest; context: ResolveContext; found: Submodule[] },
): Promise<CarriedRepository> {
  const { url, name, commit, path, namedBy } = submodule
  return await carryRepository(
    {
      url,
      namedBy,
      history: request.history,
      fetch: options => fetchLocked({ commit }, options),
      inspect: async (files, repository) => {
        const parent = { repository, url, name, at: request.at, signal: context.signal }
        for (const inner of await submodulesOf(files, parent))
          found.push({ ...inner, path: `${path}/${inner.path}` })
      },
    },
    context,
  )
}

function repositoryOf(
  { commit, ref, tag, cut, packs }: CarriedRepository,
  { name, url, history }: Pick<LockedRepository, 'name' | 'url' | 'history'>,
): LockedRepository {
  return { name, url, commit, history, packs, ...defined({ ref, tag, cut }) }
}

/** Returns the number of pointers. Throws UNSUPPORTED where the manifest does not accept them. */
function checkPointers({ lfsPointers }: CarriedRepository, { lfs, url, at }: GitRequest): number {
  if (lfsPointers.length > 0 && lfs === 'refuse') throw lfsRefused(lfsPointers, { url, at })
  return lfsPointers.length
}

function checkSecrets(
  found: readonly FoundSecret[],
  { name, at, url, secrets }: GitRequest,
): ReturnType<typeof declaredSecrets> {
  return declaredSecrets(found, {
    declared: secrets,
    subject: 'repository',
    item: `${shownUrl(url)} (git ${name}, ${at})`,
    shown: path => JSON.stringify(path.slice(0, 200)),
    remedy: 'remove or encrypt them (sops, ansible-vault) and name the new commit',
  })
}

function tooMany({ url, at }: GitRequest): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the repository has more than ${maxSubmodules} submodules`, {
    item: `${shownUrl(url)} (${at})`,
    likely: 'a malicious repository, or submodules that contain each other',
    next: 'list the repositories that are needed under `git:` instead',
  })
}

/** Writes the packs of a locked repository into the cache, on a machine that has not locked it. Throws NOT_FOUND_UPSTREAM. */
export async function createPacks(recipe: Record<string, string>, context: ResolveContext): Promise<void> {
  const { url, history, ...locked } = recipeSchema.parse(recipe)
  await carryRepository({ url, history, fetch: options => fetchLocked(locked, options) }, context)
}
