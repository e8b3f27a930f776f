import { oneLine, printableJson } from '../../core/printable.ts'
import { type Progress, silentProgress } from '../../core/progress.ts'
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
  /** the terminal shows colours */
  color?: boolean
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
  if (options.quiet) return { ...silentProgress, clear() {} }
  const running = new Set<{ item: string; since: number }>()
  const state = {
    ...none,
    started: now(),
    phase: '',
    /** lines on the screen that the next drawing replaces */
    drawn: 0,
    last: Number.NEGATIVE_INFINITY,
  }
  const json = options.format === 'json'
  const bar = output.isTTY === true && !json

  const clear = () => {
    output.write(eraseLines(state.drawn))
    state.drawn = 0
  }
  const line = (text: string) => {
    clear()
    output.write(`${oneLine(withoutSecretParameters(text))}\n`)
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
    const columns = output.columns ?? 80
    const lines = [
      barText({ ...state, seconds: (now() - state.started) / 1000 }, columns),
      ...runningLines(running, { now: now(), columns, color: options.color ?? false }),
    ]
    output.write(`${eraseLines(Math.max(1, state.drawn))}${lines.join('\n')}`)
    state.drawn = lines.length
  }
  // a stalled transfer advances nothing, but its time passes
  if (bar) setInterval(() => running.size > 0 && draw(), 1_000).unref()
  return {
    phase(title) {
      state.phase = title
      if (json) event({ event: 'phase', phase: title })
    },
    running(item) {
      const entry = { item: withoutSecretParameters(item), since: now() }
      running.add(entry)
      draw()
      return () => void running.delete(entry)
    },
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

/** Moves up to the first of the drawn lines, and erases from there. */
function eraseLines(count: number): string {
  if (count === 0) return ''
  return count === 1 ? '\r\u001b[2K' : `\r\u001b[${count - 1}A\u001b[J`
}

/** At most this many are shown: those that have run longest. */
const maxRunning = 4
/** Work that ends sooner would only flicker. */
const shownAfter = 1_000 /* ms */

function runningLines(
  running: ReadonlySet<{ item: string; since: number }>,
  { now, columns, color }: { now: number; columns: number; color: boolean },
): string[] {
  const shown = [...running].filter(({ since }) => now - since >= shownAfter)
  const lines = shown.slice(0, maxRunning).map(({ item, since }) => {
    const time = humanTime((now - since) / 1000)
    const width = Math.max(1, columns - time.length - 5)
    return `  ${item.length > width ? `…${item.slice(item.length - width + 1)}` : item}  ${time}`
  })
  if (shown.length > maxRunning) lines.push(`  and ${shown.length - maxRunning} more`)
  return lines.map(line => {
    const text = oneLine(line).slice(0, Math.max(1, columns - 1))
    return color ? `\u001b[2m${text}\u001b[0m` : text
  })
}

const none = { items: 0, bytes: 0, doneItems: 0, doneBytes: 0 }

interface State {
  phase: string
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
  const title = state.phase === '' ? '' : `${state.phase} `
  const width = Math.min(30, columns - bytesText(state).length - 3 - title.length)
  if (width < 5) return `${title}${bytesText(state).trimStart()}`.slice(0, Math.max(1, columns - 1))
  const filled = Math.min(width, Math.round((done / all) * width))
  return `${title}[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]${bytesText(state)}`
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
