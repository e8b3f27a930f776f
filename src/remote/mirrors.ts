import { AirgapError, isErrorCode } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'

/** Tries places in order. A wrong digest or size, and what is a fault of ours, ends the search at once. */
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
      if (!mayBeElsewhere(error)) throw error
      failures.push(error)
      if (failures.length < places.length) {
        options.progress.note(`${error.item ?? 'source'}: ${error.message}; trying the next mirror`)
      }
    }
  }
  throw allFailed(failures)
}

/** True where another mirror may do better. */
function mayBeElsewhere(error: unknown): error is AirgapError {
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

/** One failure is itself. Of several, one that is not "not there" decides: the content may well exist where nobody could look. */
function allFailed(failures: AirgapError[]): AirgapError {
  const worst = failures.find(failure => failure.code !== 'NOT_FOUND_UPSTREAM') ?? failures[0]
  if (worst === undefined) {
    return new AirgapError('USAGE', 'a remapped source has no place to go to', {
      next: 'give `to:` at least one place in the manifest, or leave the remapping out',
    })
  }
  if (failures.length === 1) return worst
  const told = failures.map(failure => `${failure.item ?? 'source'}: ${failure.message}`).join('; ')
  return new AirgapError(worst.code, `none of ${failures.length} mirrors has it (${told})`, {
    ...(worst.item === undefined ? {} : { item: worst.item }),
    ...(worst.likely === undefined ? {} : { likely: worst.likely }),
    ...(worst.next === undefined ? {} : { next: worst.next }),
    cause: worst,
  })
}
