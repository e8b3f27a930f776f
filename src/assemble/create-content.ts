import type { Source } from '../content/artifact.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { kinds } from '../kinds/index.ts'
import type { ResolveContext } from '../kinds/kind.ts'

type CreatedSource = Extract<Source, { type: 'created' }>

/**
 * Returns a function that has content written into the cache by the kind that it belongs to, once per recipe: several blobs come from
 * one. It throws LOCK_INVALID for a kind that creates nothing, and what the kind throws.
 */
export function contentCreator(context: Omit<ResolveContext, 'signal'>): {
  create(source: CreatedSource, signal: AbortSignal): Promise<void>
} {
  const running = new Map<string, Promise<void>>()
  return {
    async create({ kind: name, recipe }, signal) {
      const create = kinds.find(kind => kind.name === name)?.create ?? 'nothing'
      if (create === 'nothing') {
        throw new AirgapError('LOCK_INVALID', `content of kind ${name} cannot be created`, {
          item: name,
          next: 'create the lock again with `airgap lock`',
        })
      }
      const key = canonicalJson([name, recipe])
      const work = running.get(key) ?? create(recipe, { ...context, signal })
      running.set(key, work)
      await work
    },
  }
}

/** The recipe gives other bytes than the lock says. */
export function createdOtherwise(source: CreatedSource): AirgapError {
  return new AirgapError('LOCK_OUT_OF_DATE', 'content created from its source is not the locked content', {
    item: source.name,
    likely: 'another version of airgap made the lock',
    next: 'build with the version that made the lock, or run `airgap lock` again and review the difference',
  })
}
