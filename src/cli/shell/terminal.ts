import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { AirgapError } from '../../core/errors.ts'

/** A person at a terminal: questions on stderr, one answer a line. */
export interface Terminal {
  /** without spaces around it. Throws USAGE where the terminal is closed (Ctrl-D) */
  ask(question: string): Promise<string>
  /** a remark between questions */
  tell(text: string): void
  close(): void
}

/**
 * Lines that come before they are asked for, as those of a paste do, answer the next questions. Ctrl-C goes the way that it goes
 * without a question. `hidden`: nothing of what is typed is shown.
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
    tell: text => void process.stderr.write(`${text}\n`),
    close() {
      signal.removeEventListener('abort', aborted)
      reader.removeAllListeners('close')
      reader.close()
    },
  }
}

/** Asks one question and shows nothing of what is typed. */
export async function askHidden(question: string, signal: AbortSignal): Promise<string> {
  const terminal = openTerminal(signal, { hidden: true })
  try {
    return await terminal.ask(question)
  } finally {
    terminal.close()
  }
}

function unanswered(): AirgapError {
  return new AirgapError('USAGE', 'not answered: nothing was changed', {
    likely: 'Ctrl-D, or the terminal went away',
    next: 'run it again and answer',
  })
}
