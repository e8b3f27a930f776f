import { mediaTypes } from '../../../../src/core/media-types.ts'
import { repositoriesOf } from '../../../../src/kinds/git/assemble.ts'
import type { GitRequest } from '../../../../src/kinds/git/entry.ts'
import type { LockedGit } from '../../../../src/kinds/git/locked.ts'
import { recipeOf } from '../../../../src/kinds/git/recipe.ts'
import { parseRef } from '../../../../src/kinds/git/ref.ts'
import { createPacks, resolveGit } from '../../../../src/kinds/git/resolve.ts'
import { type TestContext, testContext } from '../../support/context.ts'

export function requestOf(url: string, ref: string, more: Partial<GitRequest> = {}): GitRequest {
  return {
    at: 'stack.yaml:5:5',
    name: 'a',
    url,
    ref: parseRef(ref, 'stack.yaml:5:5'),
    history: 'shallow',
    submodules: 'refuse',
    lfs: 'refuse',
    ...more,
  }
}

export async function lock(
  url: string,
  ref: string,
  more: Partial<GitRequest> & { context?: TestContext } = {},
): Promise<LockedGit> {
  const { context = await testContext(), ...fields } = more
  return await resolveGit(requestOf(url, ref, fields), context)
}

/** Creates the packs again with an empty cache, as a build on another machine does; throws unless they are the locked ones. */
export async function createAgain(locked: LockedGit, context?: TestContext): Promise<void> {
  const own = context ?? (await testContext())
  for (const repository of repositoriesOf(locked)) {
    await createPacks(recipeOf(repository), own)
    for (const file of repository.packs.flatMap(pack => [pack, pack.index])) {
      const { digest, size } = file
      if (!(await own.cache.exists({ mediaType: mediaTypes.octets, digest, size })))
        throw new Error(`${digest} is missing`)
    }
  }
}
