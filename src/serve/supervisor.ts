import type { Socket } from 'node:net'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { addCounters, type Counters, newCounters } from './counters.ts'
import type { Report } from './process-messages.ts'
import { type ProcessOptions, type SupervisedProcess, superviseProcess } from './supervised-process.ts'
import { type Draining, drainAll } from './taking.ts'

/** Keeps several serving processes running, and shares connections out among them. */
export interface Supervisor {
  /** Passes a connection to the process with the fewest; returns false where none serves this server yet. */
  take(server: string, connection: Socket): boolean
  /** Resolves with the details of the servers once one process serves all of them. Throws what kept the processes from serving. */
  readonly ready: Promise<ReadonlyMap<string, unknown>>
  /** Rejects when processes end again and again and none is left. */
  readonly failed: Promise<never>
  /** Tells all processes something. */
  tell(what: string, value: unknown): void
  processes(): ProcessState[]
  /** server → what all processes have done together, those that have ended included */
  counters(): Record<string, Counters>
  /** number of processes that ended unexpectedly and were started again */
  restarts(): number
  /** Lets answers in flight end, however long they take, and ends each process after its last one; takes no more connections. */
  drain(): Draining
  /** Lets answers in flight end within `graceMs`, and ends all processes. */
  stop(options: { graceMs: number }): Promise<void>
}

export interface ProcessState {
  /** process id */
  process: number
  /** ISO 8601 */
  since: string
  /** servers whose connections it answers */
  serves: string[]
  /** server → open connections; empty until the process serves */
  open: Record<string, number>
  /** server → answers in flight; likewise */
  answering: Record<string, number>
}

export interface SupervisorOptions extends ProcessOptions {
  /** number of processes */
  size: number
  servers: readonly string[]
  /** called when a process has become able to take connections */
  ready(): void
  reported(report: Report, pid: number): void
  told(what: string, value: unknown): void
  /** called for each process that ended unexpectedly */
  ended(event: { pid: number; reason: string; restartMs: number }): void
}

/** A process that ran this long is started again at once. */
const steadyMs = 10_000
const firstDelayMs = 100
const maxDelayMs = 10_000
/** in a row, of each process, until the servers give up where no process is left */
const maxFailures = 4

interface Slot {
  process?: SupervisedProcess
  failures: number
  timer?: NodeJS.Timeout
}

export function supervise(options: SupervisorOptions): Supervisor {
  const slots: Slot[] = Array.from({ length: options.size }, () => ({ failures: 0 }))
  const ready = Promise.withResolvers<ReadonlyMap<string, unknown>>()
  const failed = Promise.withResolvers<never>()
  // both may fail before anybody waits for them
  ready.promise.catch(() => {})
  failed.promise.catch(() => {})
  const retired: Record<string, Counters> = {}
  let stopping = false
  let served = false
  let restarts = 0

  function start(slot: Slot): void {
    const details = new Map<string, unknown>()
    const started = performance.now()
    const process = superviseProcess(options, {
      ready(server, detail) {
        details.set(server, detail)
        if (details.size === options.servers.length) {
          served = true
          ready.resolve(details)
        }
        options.ready()
      },
      told: options.told,
      reported: report => options.reported(report, process.pid),
      ended({ reason, error }) {
        delete slot.process
        for (const [server, counters] of Object.entries(process.report()?.counters ?? {}))
          addCounters((retired[server] ??= newCounters()), counters)
        if (stopping) return
        // what keeps one process from serving (a damaged bundle) keeps all of them from it
        if (error !== undefined && !served) return giveUp(error)
        slot.failures = performance.now() - started > steadyMs ? 1 : slot.failures + 1
        const isLast = slots.every(one => one.process === undefined && one.failures >= maxFailures)
        if (isLast) return giveUp(error ?? neverStarts(reason, served))
        const restartMs = Math.min(firstDelayMs * 2 ** (slot.failures - 1), maxDelayMs)
        options.ended({ pid: process.pid, reason: error?.message ?? reason, restartMs })
        slot.timer = setTimeout(() => {
          restarts++
          start(slot)
        }, restartMs)
      },
    })
    slot.process = process
  }

  function giveUp(error: AirgapError): void {
    stopping = true
    for (const slot of slots) {
      clearTimeout(slot.timer)
      slot.process?.kill()
    }
    ready.reject(error)
    failed.reject(error)
  }

  function startNoMore(): void {
    stopping = true
    for (const { timer } of slots) clearTimeout(timer)
  }

  for (const slot of slots) start(slot)
  return {
    ready: ready.promise,
    failed: failed.promise,
    take(server, connection) {
      let best: SupervisedProcess | undefined
      for (const { process } of slots) {
        if (!process?.serves(server)) continue
        if (best === undefined || process.connections() < best.connections()) best = process
      }
      best?.take(server, connection)
      return best !== undefined
    },
    tell(what, value) {
      for (const { process } of slots) process?.tell(what, value)
    },
    processes: () =>
      slots.flatMap(({ process }) =>
        process === undefined
          ? []
          : [
              {
                process: process.pid,
                since: process.since.toISOString(),
                serves: options.servers.filter(server => process.serves(server)),
                open: process.report()?.open ?? {},
                answering: process.report()?.answering ?? {},
              },
            ],
      ),
    counters() {
      const sums: Record<string, Counters> = {}
      for (const server of options.servers) sums[server] = newCounters()
      const all = [retired, ...slots.map(({ process }) => process?.report()?.counters ?? {})]
      for (const one of all)
        for (const [server, counters] of Object.entries(one))
          addCounters((sums[server] ??= newCounters()), counters)
      return sums
    },
    restarts: () => restarts,
    drain() {
      startNoMore()
      return drainAll(slots.flatMap(({ process }) => process?.drain() ?? []))
    },
    async stop(how) {
      startNoMore()
      await Promise.all(slots.map(({ process }) => process?.stop(how)))
    },
  }
}

function neverStarts(reason: string, served: boolean): AirgapError {
  return new AirgapError(
    'IO',
    served ? 'the serving processes end again and again' : 'the serving processes cannot be started',
    defined({
      item: reason,
      likely: 'the machine has too little memory, or a limit of processes is reached (ulimit -u)',
      next: 'free memory, or serve with one process: --processes 1',
    }),
  )
}
