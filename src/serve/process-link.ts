import type { Socket } from 'node:net'
import { type Counters, countEntry, newCounters } from './counters.ts'
import { type LogSink, logEntry } from './log-sink.ts'
import { errorData, errorOf, type ToProcess, type ToSupervisor } from './process-messages.ts'
import type { AccessEntry } from './served.ts'
import type { Taking } from './taking.ts'

/** A serving process's end of the channel to its supervisor. */
export interface ProcessLink {
  /** what the supervisor has sent to begin with */
  readonly setup: unknown
  /** Returns where a server logs, and counts, its requests. `all`: not only those that failed. */
  logOf(server: string, options: { all: boolean }): (entry: AccessEntry) => void
  /** Takes the connections of a server from now on. */
  serve(server: string, taking: Taking, detail: unknown): void
  /** Reports soon how many connections are open, and answers in flight. */
  changed(): void
  /** Asks the supervisor. Throws the AirgapError that it answers with, and the reason of `signal`. */
  ask(what: string, value: unknown, signal?: AbortSignal): Promise<unknown>
  /** Tells the supervisor something that it does not answer. */
  tell(what: string, value: unknown): void
  /** Adds what is called with each notice of the supervisor. */
  onNotice(listener: (what: string, value: unknown) => void): void
  /** Resolves when the supervisor wants the process to end after the answers in flight; it may still be stopped. */
  drained: Promise<void>
  /** Reports that no connection is idle any more. */
  idleClosed(): void
  /** Resolves when the supervisor wants the process to end. */
  stopped: Promise<{ graceMs: number }>
  /** Sends what is left to report. */
  flush(): Promise<void>
  /** Reports why the process cannot serve. */
  fail(error: unknown): Promise<void>
}

const reportEvery = 100 /* milliseconds */
/** of entries that wait for the next report; more are counted, so that a flood of requests does not fill the memory */
const maxEntries = 5_000
/** of reports that the supervisor has not read yet */
const maxUnread = 4

/**
 * Connects to the supervisor and waits for its setup. From now on, this process ends as soon as the supervisor does, and only then or when
 * it says so: Ctrl-C in a terminal reaches both.
 */
export async function connectSupervisor(): Promise<ProcessLink> {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {})
  process.once('disconnect', () => process.exit(0))
  const takings = new Map<string, Taking>()
  const counters: Record<string, Counters> = {}
  const questions = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>()
  const started = Promise.withResolvers<unknown>()
  const drained = Promise.withResolvers<void>()
  const stopped = Promise.withResolvers<{ graceMs: number }>()
  let log: (string | AccessEntry)[] = []
  let lost = 0
  let taken = 0
  let unread = 0
  let asked = 0
  let scheduled = false
  const listeners: ((what: string, value: unknown) => void)[] = []

  function send(message: ToSupervisor): Promise<void> {
    return new Promise((resolve, reject) => {
      process.send?.(message, undefined, undefined, error => (error ? reject(error) : resolve()))
    })
  }

  /** The supervisor has ended, or is about to; then the process ends, too. */
  function sendQuietly(message: ToSupervisor): void {
    send(message).catch(() => {})
  }

  function soon(): void {
    if (scheduled) return
    scheduled = true
    setTimeout(() => {
      scheduled = false
      if (unread >= maxUnread) soon()
      else report().catch(() => {})
    }, reportEvery)
  }

  async function report(): Promise<void> {
    const open: Record<string, number> = {}
    const answering: Record<string, number> = {}
    for (const [server, taking] of takings) {
      open[server] = taking.open()
      answering[server] = taking.answering()
    }
    const message: ToSupervisor = { type: 'report', report: { taken, open, answering, counters, log, lost } }
    log = []
    lost = 0
    unread++
    try {
      await send(message)
    } finally {
      unread--
    }
  }

  function add(one: string | AccessEntry): void {
    if (log.length < maxEntries) log.push(one)
    else lost++
    soon()
  }

  function receive(message: ToProcess, connection: Socket | undefined): void {
    switch (message.type) {
      case 'start':
        started.resolve(message.setup)
        return
      case 'connection': {
        taken++
        soon()
        // a client may have left before its connection arrived here
        if (connection !== undefined) takings.get(message.server)?.take(connection)
        return
      }
      case 'answer':
        questions.get(message.id)?.resolve(message.value)
        return
      case 'refusal':
        questions.get(message.id)?.reject(errorOf(message.error))
        return
      case 'notice':
        for (const listener of listeners) listener(message.what, message.value)
        return
      case 'drain':
        drained.resolve()
        return
      case 'stop':
        stopped.resolve(message)
        return
    }
  }

  process.on('message', (message, handle) => receive(message as ToProcess, handle as Socket | undefined))
  const setup = await started.promise
  return {
    setup,
    logOf(server, { all }) {
      const own = newCounters()
      counters[server] = own
      const sink: LogSink = { all, line: add, failed: add }
      return entry => {
        countEntry(own, entry)
        logEntry(entry, sink)
        soon()
      }
    },
    serve(server, taking, detail) {
      takings.set(server, taking)
      sendQuietly({ type: 'ready', server, detail })
    },
    changed: soon,
    async ask(what, value, signal) {
      signal?.throwIfAborted()
      const id = ++asked
      const question = Promise.withResolvers<unknown>()
      const abort = () => {
        sendQuietly({ type: 'withdrawn', id })
        question.reject(signal?.reason)
      }
      questions.set(id, question)
      signal?.addEventListener('abort', abort, { once: true })
      sendQuietly({ type: 'question', id, what, value })
      try {
        return await question.promise
      } finally {
        questions.delete(id)
        signal?.removeEventListener('abort', abort)
      }
    },
    tell: (what, value) => sendQuietly({ type: 'notice', what, value }),
    onNotice(listener) {
      listeners.push(listener)
    },
    drained: drained.promise,
    idleClosed: () => sendQuietly({ type: 'idle-closed' }),
    stopped: stopped.promise,
    flush: report,
    fail: error => send({ type: 'failed', error: errorData(error) }),
  }
}
