import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { AirgapError } from '../../core/errors.ts'
import { oneLine, printable } from '../../core/printable.ts'

/** A dialogue on the terminal: questions on stderr, one line per answer. */
export interface Terminal {
  /** Returns the answer, trimmed. Throws USAGE if the terminal is closed (Ctrl-D). */
  ask(question: string): Promise<string>
  /** Shows a remark between questions. */
  show(text: string): void
  close(): void
}

/**
 * Lines that arrive before their question, such as pasted ones, answer the next questions. Ctrl-C sends SIGINT, as it does
 * without a question. `hidden`: the input is not echoed.
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
      if (hidden) process.stderr.write(oneLine(question))
      else {
        reader.setPrompt(oneLine(question))
        reader.prompt()
      }
      const answer = await new Promise<string>((take, fail) => {
        waiting = { take, fail }
      })
      if (hidden) process.stderr.write('\n')
      return hidden ? answer : answer.trim()
    },
    show: text => void process.stderr.write(`${printable(text)}\n`),
    close() {
      signal.removeEventListener('abort', aborted)
      reader.removeAllListeners('close')
      reader.close()
    },
  }
}

/** Asks one question without echoing the answer. */
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
