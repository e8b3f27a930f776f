import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { AirgapError } from '../../core/errors.ts'

/** A person at a terminal: questions on stderr, one answer per line. */
export interface Terminal {
  /** Returns the answer without surrounding spaces. Throws USAGE where the terminal is closed (Ctrl-D). */
  ask(question: string): Promise<string>
  /** a remark between questions */
  show(text: string): void
  close(): void
}

/**
 * Opens the terminal for questions. Lines that arrive early, as pasted ones do, answer the next questions. Ctrl-C works as it does
 * without a question. `hidden`: what is typed is not shown.
 */
export function openTerminal(signal: AbortSignal, { hidden = false } = {}): Terminal {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({
    input: process.stdin,
    output: hidden ? silent : process.stderr,
    terminal: true,
  })
  const lines: string[] = []
  let closed = false
  let waiting: { take(line: string): void; fail(reason: unknown): void } | undefined
  const settle = (line: string) => {
    if (waiting === undefined) lines.push(line)
    else waiting.take(line)
    waiting = undefined
  }
  const stop = (reason: unknown) => {
    closed = true
    waiting?.fail(reason)
    waiting = undefined
  }
  const aborted = () => stop(signal.reason)
  reader.on('line', settle)
  reader.on('close', () => stop(unanswered()))
  reader.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  signal.addEventListener('abort', aborted)
  return {
    async ask(question) {
      signal.throwIfAborted()
      const ready = lines.shift()
      if (ready !== undefined) return hidden ? ready : ready.trim()
      if (closed) throw unanswered()
      if (hidden) process.stderr.write(question)
      else {
        reader.setPrompt(question)
        reader.prompt()
      }
      const answer = await new Promise<string>((take, fail) => {
        waiting = { take, fail }
      })
      if (hidden) process.stderr.write('\n')
      return hidden ? answer : answer.trim()
    },
    show: text => void process.stderr.write(`${text}\n`),
    close() {
      signal.removeEventListener('abort', aborted)
      reader.removeAllListeners('close')
      reader.close()
    },
  }
}

/** Asks one question without showing what is typed. */
export async function askHidden(question: string, signal: AbortSignal): Promise<string> {
  const terminal = openTerminal(signal, { hidden: true })
  try {
    return await terminal.ask(question)
  } finally {
    terminal.close()
  }
}

function unanswered(): AirgapError {
  return new AirgapError('USAGE', 'the question was not answered; nothing was changed', {
    likely: 'Ctrl-D was pressed, or the terminal was closed',
    next: 'run the same command again and answer',
  })
}
