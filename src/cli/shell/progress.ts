import type { Progress } from '../../core/progress.ts'
import { humanBytes, humanTime, printable } from './format.ts'

/** The part of stderr that progress needs. */
export interface ProgressOutput {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface ProgressOptions {
  quiet?: boolean
  /** milliseconds, monotonic */
  now?: () => number
}

/** Progress that can be taken off the screen. */
export interface DrawnProgress extends Progress {
  /** Removes the bar, so that other text can be written; the next report draws it again. */
  clear(): void
}

const redrawEvery = 100 /* ms */

/** A bar on a terminal; one line per finished item otherwise, so that a log stays readable. */
export function createProgress(output: ProgressOutput, options: ProgressOptions = {}): DrawnProgress {
  const now = options.now ?? (() => performance.now())
  if (options.quiet) return { total() {}, advance() {}, done() {}, note() {}, clear() {} }
  const started = now()
  const state = {
    items: 0,
    bytes: 0,
    doneItems: 0,
    doneBytes: 0,
    drawn: false,
    last: Number.NEGATIVE_INFINITY,
  }
  const bar = output.isTTY === true

  const clear = () => {
    if (state.drawn) output.write('\r\u001b[2K')
    state.drawn = false
  }
  const line = (text: string) => {
    clear()
    output.write(`${printable(text)}\n`)
  }
  const draw = () => {
    if (!bar || now() - state.last < redrawEvery) return
    state.last = now()
    state.drawn = true
    output.write(
      `\r\u001b[2K${barText({ ...state, seconds: (now() - started) / 1000 }, output.columns ?? 80)}`,
    )
  }
  return {
    total(items, bytes) {
      state.items = items
      state.bytes = bytes
    },
    advance(bytes) {
      state.doneBytes += bytes
      draw()
    },
    done(item, bytes) {
      state.doneItems++
      if (bar) draw()
      else line(`${count(state)}${item}  ${humanBytes(bytes)}`)
    },
    note: line,
    clear,
  }
}

interface State {
  items: number
  bytes: number
  doneItems: number
  doneBytes: number
}

function count(state: State): string {
  return state.items > 0 ? `[${state.doneItems}/${state.items}] ` : ''
}

function barText(state: State & { seconds: number }, columns: number): string {
  const rate = state.seconds > 0 ? state.doneBytes / state.seconds : 0
  const left = rate > 0 && state.bytes > state.doneBytes ? (state.bytes - state.doneBytes) / rate : 0
  const text = ` ${count(state)}${humanBytes(state.doneBytes)}${
    state.bytes > 0 ? ` of ${humanBytes(state.bytes)}` : ''
  }  ${humanBytes(rate)}/s${left > 1 ? `  ${humanTime(left)} left` : ''}`
  const width = Math.min(30, columns - text.length - 3)
  if (width < 5 || state.bytes === 0) return text.slice(0, Math.max(1, columns - 1))
  const filled = Math.min(width, Math.round((state.doneBytes / state.bytes) * width))
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]${text}`
}
