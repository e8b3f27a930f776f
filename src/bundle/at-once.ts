import pLimit from 'p-limit'

/** Small files take the time of their syncs and of the thread pool, of which one at a time uses a quarter. */
const filesAtOnce = 8

/**
 * Does the work for all items, a few at once. After a failure, or the end of `signal`, no more begin; that is thrown when all that began
 * have ended, so that nothing is written any more.
 */
export async function eachAtOnce<Item>(
  items: Iterable<Item>,
  { signal, work }: { signal: AbortSignal | undefined; work: (item: Item) => Promise<void> },
): Promise<void> {
  const limit = pLimit(filesAtOnce)
  const failures: unknown[] = []
  const one = async (item: Item) => {
    if (failures.length > 0) return
    try {
      signal?.throwIfAborted()
      await work(item)
    } catch (error) {
      failures.push(error)
    }
  }
  await Promise.all([...items].map(item => limit(one, item)))
  if (failures.length > 0) throw failures[0]
}
