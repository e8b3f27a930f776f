import { defined } from '../core/defined.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'

/** Tries the places in order. A wrong digest or size, and an error of our own, ends the search at once. */
export async function firstOf<P, T>(
  places: readonly P[],
  attempt: (place: P) => Promise<T>,
  options: { progress: Progress; signal?: AbortSignal | undefined },
): Promise<T> {
  const failures: AirgapError[] = []
  for (const place of places) {
    try {
      return await attempt(place)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!mayWorkElsewhere(error)) throw error
      failures.push(error)
      if (failures.length < places.length) {
        options.progress.note(`${error.item ?? 'source'}: ${error.message}; trying the next mirror`)
      }
    }
  }
  throw allFailed(failures)
}

/** Returns whether another mirror may succeed. */
function mayWorkElsewhere(error: unknown): error is AirgapError {
  return isErrorCode(
    error,
    'NETWORK',
    'DNS_FAILED',
    'TLS_FAILED',
    'PROXY_FAILED',
    'UPSTREAM',
    'UPSTREAM_INVALID',
    'UNAUTHORIZED',
    'REDIRECT_REFUSED',
    'NOT_FOUND_UPSTREAM',
  )
}

/** Of several failures, one other than "not found" decides: the content may exist at the mirror that could not be reached. */
function allFailed(failures: AirgapError[]): AirgapError {
  const worst = failures.find(failure => failure.code !== 'NOT_FOUND_UPSTREAM') ?? failures[0]
  if (worst === undefined) {
    return new AirgapError('USAGE', 'a remapped source has no target', {
      next: 'list at least one place in `to:` in the manifest, or remove the remapping',
    })
  }
  if (failures.length === 1) return worst
  const messages = failures.map(failure => `${failure.item ?? 'source'}: ${failure.message}`).join('; ')
  const { code, item, likely, next } = worst
  const what = `none of ${failures.length} mirrors has it (${messages})`
  return new AirgapError(code, what, defined({ item, likely, next, cause: worst }))
}
