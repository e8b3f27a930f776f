/** Lets a limited number of pieces of work run at once. */
export interface Turns {
  /** Waits for a turn; the smallest `cost` comes first, then the longest wait. Throws the reason of `signal`, and then takes no turn. */
  take(cost: number, signal: AbortSignal): Promise<void>
  giveBack(): void
}

export function turns(limit: number): Turns {
  const waiting = new Set<{ cost: number; go: () => void }>()
  let running = 0

  function next(): void {
    let first: { cost: number; go: () => void } | undefined
    for (const one of waiting) if (first === undefined || one.cost < first.cost) first = one
    if (first === undefined) return
    waiting.delete(first)
    running++
    first.go()
  }

  return {
    async take(cost, signal) {
      signal.throwIfAborted()
      if (running < limit) {
        running++
        return
      }
      await new Promise<void>((resolve, reject) => {
        const abort = () => {
          waiting.delete(one)
          reject(signal.reason)
        }
        const one = {
          cost,
          go() {
            signal.removeEventListener('abort', abort)
            resolve()
          },
        }
        waiting.add(one)
        signal.addEventListener('abort', abort, { once: true })
      })
    },
    giveBack() {
      running--
      next()
    },
  }
}
