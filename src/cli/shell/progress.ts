import { printable, printableJson } from '../../core/printable.ts'
import type { Progress } from '../../core/progress.ts'
import { withoutSecretParameters } from '../../core/secret-queries.ts'
import { humanBytes, humanTime } from './format.ts'

/** The part of stderr that progress needs. */
export interface ProgressOutput {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface ProgressOptions {
  quiet?: boolean
  /** `json`: one object per line, for log collectors; never a bar */
  format?: LogFormat
  /** milliseconds, monotonic */
  now?: () => number
  /** wall clock, for `json` */
  clock?: () => Date
}

export const logFormats = ['text', 'json'] as const
export type LogFormat = (typeof logFormats)[number]

/** Progress that can be cleared from the screen. */
export interface DrawnProgress extends Progress {
  /** Removes the bar, so that other text can be written; the next update draws it again. */
  clear(): void
}

const redrawEvery = 100 /* ms */

/** Creates progress: a bar on a terminal, otherwise one line per finished item, so that a log stays readable. */
export function createProgress(output: ProgressOutput, options: ProgressOptions = {}): DrawnProgress {
  const now = options.now ?? (() => performance.now())
  const clock = options.clock ?? (() => new Date())
  if (options.quiet) return { total() {}, advance() {}, done() {}, note() {}, clear() {} }
  const state = {
    ...none,
    started: now(),
    drawn: false,
    last: Number.NEGATIVE_INFINITY,
  }
  const json = options.format === 'json'
  const bar = output.isTTY === true && !json

  const clear = () => {
    if (state.drawn) output.write('\r\u001b[2K')
    state.drawn = false
  }
  const line = (text: string) => {
    clear()
    output.write(`${printable(withoutSecretParameters(text))}\n`)
  }
  const event = (fields: Record<string, string | number>) => {
    const text = JSON.stringify({ at: clock().toISOString(), ...fields }, (_, value: unknown) =>
      typeof value === 'string' ? withoutSecretParameters(value) : value,
    )
    output.write(`${printableJson(text)}\n`)
  }
  const draw = () => {
    if (!bar || now() - state.last < redrawEvery) return
    state.last = now()
    state.drawn = true
    output.write(
      `\r\u001b[2K${barText({ ...state, seconds: (now() - state.started) / 1000 }, output.columns ?? 80)}`,
    )
  }
  return {
    total(items, bytes) {
      // a new stage starts from zero
      Object.assign(state, none, { items, bytes, started: now() })
    },
    advance(bytes) {
      state.doneBytes += bytes
      draw()
    },
    done(item, bytes) {
      state.doneItems++
      if (json) event({ event: 'done', item, bytes, items: state.doneItems, of: state.items })
      else if (bar) draw()
      else line(`${count(state)}${item}${bytes > 0 ? `  ${humanBytes(bytes)}` : ''}`)
    },
    note: message => (json ? event({ event: 'note', message }) : line(message)),
    clear,
  }
}

const none = { items: 0, bytes: 0, doneItems: 0, doneBytes: 0 }

interface State {
  items: number
  bytes: number
  doneItems: number
  doneBytes: number
}

function count(state: State): string {
  return state.items > 0 ? `[${state.doneItems}/${state.items}] ` : ''
}

/** Measures by bytes if their total is known, else by items. */
function barText(state: State & { seconds: number }, columns: number): string {
  const [done, all] =
    state.bytes > 0 ? [state.doneBytes, state.bytes] : [state.doneItems, Math.max(state.items, 1)]
  const width = Math.min(30, columns - bytesText(state).length - 3)
  if (width < 5) return bytesText(state).slice(0, Math.max(1, columns - 1))
  const filled = Math.min(width, Math.round((done / all) * width))
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]${bytesText(state)}`
}

/** Without a total, the bytes only show that the transfer is alive. */
function bytesText({ seconds, ...state }: State & { seconds: number }): string {
  const { bytes, doneBytes } = state
  if (bytes === 0) return ` ${count(state)}${doneBytes > 0 ? humanBytes(doneBytes) : ''}`.trimEnd()
  const rate = seconds > 0 ? doneBytes / seconds : 0
  const left = rate > 0 && bytes > doneBytes ? (bytes - doneBytes) / rate : 0
  // the rate of the first seconds predicts nothing
  const end = seconds > 2 && left > 1 ? `  ${humanTime(left)} left` : ''
  return ` ${count(state)}${humanBytes(doneBytes)} of ${humanBytes(bytes)}  ${humanBytes(rate)}/s${end}`
}
