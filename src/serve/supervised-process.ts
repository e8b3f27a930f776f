import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { AirgapError } from '../core/errors.ts'
import { errorData, errorOf, type Report, type ToProcess, type ToSupervisor } from './process-messages.ts'
import type { Draining } from './taking.ts'

/** A serving process, as its supervisor sees it. */
export interface SupervisedProcess {
  readonly pid: number
  /** when it was started */
  readonly since: Date
  /** its last report; undefined before the first */
  report(): Report | undefined
  /** whether it answers the connections of this server */
  serves(server: string): boolean
  /** connections that it has, or will have once it has read its messages */
  connections(): number
  take(server: string, connection: Socket): void
  tell(what: string, value: unknown): void
  /** Lets answers in flight end, however long they take, then ends the process. */
  drain(): Draining
  /** Lets answers in flight end within `graceMs`, then ends the process. */
  stop(options: { graceMs: number }): Promise<void>
  kill(): void
}

export interface ProcessOptions {
  /** program and arguments */
  command: readonly string[]
  environment: NodeJS.ProcessEnv
  /** files that the process inherits, in order (`firstInherited`) */
  descriptors: readonly number[]
  /** sent to the process to begin with: JSON */
  setup: unknown
  /** Answers a question of the process. */
  answer(what: string, value: unknown, signal: AbortSignal): Promise<unknown>
}

export interface ProcessEvents {
  ready(server: string, detail: unknown): void
  reported(report: Report): void
  told(what: string, value: unknown): void
  /** called once; `error` is why the process could not serve, if it said so */
  ended(how: { reason: string; error?: AirgapError }): void
}

/** longer than its answers may take, before it is killed */
const stopMs = 1_000

export function superviseProcess(options: ProcessOptions, events: ProcessEvents): SupervisedProcess {
  const [program = '', ...args] = options.command
  const child = spawn(program, args, {
    env: options.environment,
    // its errors belong to the log of the servers
    stdio: ['ignore', 'ignore', 'inherit', 'ipc', ...options.descriptors],
  })
  const since = new Date()
  const servers = new Set<string>()
  const questions = new Map<number, AbortController>()
  /** sent, and perhaps not taken yet: their clients would wait for ever if the process ends before */
  let underway: (() => void)[] = []
  let sent = 0
  let last: Report | undefined
  const idleClosed = Promise.withResolvers<void>()
  let error: AirgapError | undefined
  const exited = whenEnded(child)

  function send(message: ToProcess, connection?: Socket): void {
    // a process that has ended, or could not be started, is reported by its exit
    if (!child.connected) return void connection?.destroy()
    child.send(message, connection, failed => {
      if (failed) connection?.destroy()
    })
  }

  async function answerQuestion(
    id: number,
    { what, value }: { what: string; value: unknown },
  ): Promise<void> {
    const controller = new AbortController()
    questions.set(id, controller)
    try {
      send({ type: 'answer', id, value: await options.answer(what, value, controller.signal) })
    } catch (error) {
      if (!controller.signal.aborted) send({ type: 'refusal', id, error: errorData(error) })
    } finally {
      questions.delete(id)
    }
  }

  function receive(message: ToSupervisor): void {
    switch (message.type) {
      case 'ready':
        servers.add(message.server)
        events.ready(message.server, message.detail)
        return
      case 'failed':
        error = errorOf(message.error)
        return
      case 'report': {
        const { report } = message
        underway = underway.slice(report.taken - (last?.taken ?? 0))
        last = report
        events.reported(report)
        return
      }
      case 'question':
        void answerQuestion(message.id, message)
        return
      case 'notice':
        events.told(message.what, message.value)
        return
      case 'idle-closed':
        idleClosed.resolve()
        return
      case 'withdrawn':
        questions.get(message.id)?.abort()
        return
    }
  }

  child.on('message', message => receive(message as ToSupervisor))
  void exited.then(reason => {
    for (const close of underway) close()
    for (const question of questions.values()) question.abort()
    events.ended({ reason, ...(error && { error }) })
  })
  send({ type: 'start', setup: options.setup })
  return {
    pid: child.pid ?? 0,
    since,
    report: () => last,
    serves: server => servers.has(server),
    connections() {
      const open = Object.values(last?.open ?? {}).reduce((sum, count) => sum + count, 0)
      return open + sent - (last?.taken ?? 0)
    },
    take(server, connection) {
      sent++
      underway.push(closerOf(connection))
      send({ type: 'connection', server }, connection)
    },
    tell: (what, value) => send({ type: 'notice', what, value }),
    drain() {
      send({ type: 'drain' })
      const ended = exited.then(() => idleClosed.resolve())
      return { idleClosed: idleClosed.promise, ended }
    },
    async stop({ graceMs }) {
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs + stopMs)
      send({ type: 'stop', graceMs })
      await exited
      clearTimeout(timer)
    },
    kill: () => void child.kill('SIGKILL'),
  }
}

/**
 * Returns what closes a connection that was sent to a process, if that ends before it has taken it. Node.js takes the handle out of the
 * socket when it is sent, and leaves it open if the process never confirms it (lib/internal/child_process.js, `_pendingMessage`): the client
 * would wait for ever. A handle that is closed already stays as it is.
 */
function closerOf(connection: Socket & { _handle?: { close(): void } | null }): () => void {
  const handle = connection._handle
  return () => {
    connection.destroy()
    handle?.close()
  }
}

/** Resolves with how it ended: `exit code 1`, `SIGKILL`, or why it could not be started. */
async function whenEnded(child: ChildProcess): Promise<string> {
  return await new Promise(resolve => {
    child.once('error', error => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
}
