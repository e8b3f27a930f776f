import pLimit from 'p-limit'
import { AirgapError } from '../core/errors.ts'

/**
 * Does the work of all items, `jobs` at a time. The first failure stops the others; throws a wrong digest before any other failure, once
 * nothing runs any more.
 */
export async function eachAtOnce<T, R>(
  items: readonly T[],
  { jobs, signal }: { jobs: number; signal: AbortSignal },
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const stop = new AbortController()
  const joined = AbortSignal.any([signal, stop.signal])
  const limit = pLimit(jobs)
  const failures: unknown[] = []
  const results = await Promise.all(
    items.map(item =>
      limit(async () => {
        if (joined.aborted) return []
        try {
          return [await work(item, joined)]
        } catch (error) {
          failures.push(error)
          stop.abort()
          return []
        }
      }),
    ),
  )
  signal.throwIfAborted()
  // an aborted transfer is not a failure of its own
  const own = failures.filter(failure => failure instanceof AirgapError)
  if (failures.length > 0) throw own.find(({ exitCode }) => exitCode === 6) ?? own[0] ?? failures[0]
  return results.flat()
}
