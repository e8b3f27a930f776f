import { AirgapError } from '../core/errors.ts'
import { addCounters, type Counters, newCounters } from './counters.ts'
import type { Entrance, TakeConnection } from './entrance.ts'
import type { ProcessState } from './supervisor.ts'
import type { Draining } from './taking.ts'

/** All servers with one content and one setup, in this process or in several. */
export interface Generation {
  readonly take: TakeConnection
  /** Resolves once all servers answer. Throws what keeps them from it. */
  readonly ready: Promise<void>
  /** Rejects where they cannot continue. */
  readonly failed: Promise<never>
  /** the processes that answer, or this one */
  processes(): ProcessState[]
  /** server → what it has done */
  counters(): Record<string, Counters>
  /** number of processes that ended unexpectedly and were started again */
  restarts(): number
  drain(): Draining
  stop(options: { graceMs: number }): Promise<void>
}

/**
 * Generations of servers that follow each other at the same ports. New connections go to the newest one that is ready; those before it finish
 * their answers, however long they take.
 */
export interface Generations {
  /** Resolves once the first generation serves. Throws what keeps it from that, and then has stopped it. */
  readonly ready: Promise<void>
  /**
   * Starts the next generation, and lets the present one drain. Resolves once no connection leads to an idle server of an older generation.
   * `released` is called when nothing uses the given generation any more. Throws what keeps the next one from serving, and BUSY: then the
   * present one continues as before.
   */
  replace(next: () => Promise<Generation>, options: { released(): Promise<void> }): Promise<void>
  /** Rejects where the newest generation cannot continue. */
  readonly failed: Promise<never>
  processes(): ProcessState[]
  /** processes of older generations, which finish their answers */
  draining(): ProcessState[]
  counters(): Record<string, Counters>
  restarts(): number
  /** Stops all generations. */
  stop(options: { graceMs: number }): Promise<void>
}

interface Running extends Generation {
  released(): Promise<void>
}

/**
 * Begins with the first generation, which gets connections as soon as one of its servers answers. `maxDraining`: processes of older generations, from
 * which on no further one is started, so that clients which read slowly and reloads cannot fill the memory together.
 */
export function generationsFrom(
  entrance: Entrance,
  { first, released, maxDraining }: { first: Generation; released(): Promise<void>; maxDraining: number },
): Generations {
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {})
  const old = new Set<Running>()
  /** of generations that have ended */
  const retired: Record<string, Counters> = {}
  let retiredRestarts = 0
  let stopped = false
  let newest: Running = { ...first, released }

  function watch(generation: Running): void {
    generation.failed.catch(error => {
      if (generation === newest) failed.reject(error)
    })
  }

  const draining = () => [...old].flatMap(one => one.processes())

  function retire(generation: Running): Promise<void> {
    old.add(generation)
    const { idleClosed, ended } = generation.drain()
    void ended.then(async () => {
      old.delete(generation)
      addAll(retired, generation.counters())
      retiredRestarts += generation.restarts()
      // a medium that fails while its file is closed
      await generation.released().catch(() => {})
    })
    return idleClosed
  }

  async function firstReady(): Promise<void> {
    try {
      await first.ready
    } catch (error) {
      await first.stop({ graceMs: 0 })
      throw error
    }
  }

  entrance.open(first.take)
  watch(newest)
  return {
    ready: firstReady(),
    failed: failed.promise,
    async replace(next, options) {
      const before = draining().length
      if (before >= maxDraining) throw stillAnswering(before)
      const generation: Running = { ...(await next()), released: options.released }
      try {
        await generation.ready
        if (stopped) throw new AirgapError('BUSY', 'the servers are being stopped')
      } catch (error) {
        await generation.stop({ graceMs: 0 })
        throw error
      }
      const previous = newest
      newest = generation
      watch(generation)
      entrance.open(generation.take)
      await retire(previous)
    },
    processes: () => newest.processes(),
    draining,
    counters() {
      const sums: Record<string, Counters> = {}
      for (const counters of [retired, ...[newest, ...old].map(one => one.counters())]) addAll(sums, counters)
      return sums
    },
    restarts: () => [newest, ...old].reduce((sum, one) => sum + one.restarts(), retiredRestarts),
    async stop(how) {
      stopped = true
      await Promise.all([newest, ...old].map(one => one.stop(how)))
    },
  }
}

function addAll(sums: Record<string, Counters>, more: Record<string, Counters>): void {
  for (const [server, counters] of Object.entries(more)) {
    sums[server] ??= newCounters()
    addCounters(sums[server], counters)
  }
}

function stillAnswering(count: number): AirgapError {
  return new AirgapError('BUSY', 'the servers still finish answers from before earlier reloads', {
    item: `${count} earlier processes`,
    likely: 'slow downloads run while the configuration is reloaded again and again',
    next: 'wait until they have ended (`offline-deploy status` shows them), then reload again; to cut them off, run `offline-deploy stop`, then `offline-deploy apply`',
  })
}
