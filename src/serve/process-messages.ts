import { defined } from '../core/defined.ts'
import { AirgapError, isKnownCode } from '../core/errors.ts'
import type { Counters } from './counters.ts'
import type { AccessEntry } from './served.ts'

/** What the supervisor and its serving processes say to each other over the channel between them; all of it is JSON. */

/** To a serving process. A connection comes as a handle with its message. */
export type ToProcess =
  | { type: 'start'; setup: unknown }
  | { type: 'connection'; server: string }
  | { type: 'answer'; id: number; value: unknown }
  | { type: 'refusal'; id: number; error: ErrorData }
  | { type: 'notice'; what: string; value: unknown }
  | { type: 'drain' }
  | { type: 'stop'; graceMs: number }

/** To the supervisor. */
export type ToSupervisor =
  | { type: 'ready'; server: string; detail: unknown }
  | { type: 'failed'; error: ErrorData }
  | { type: 'report'; report: Report }
  | { type: 'question'; id: number; what: string; value: unknown }
  | { type: 'withdrawn'; id: number }
  | { type: 'notice'; what: string; value: unknown }
  | { type: 'idle-closed' }

/** What happened since the last report, at most a tenth of a second ago. */
export interface Report {
  /** number of connections that were taken since the process was started */
  taken: number
  /** server → open connections */
  open: Record<string, number>
  /** server → answers in flight */
  answering: Record<string, number>
  /** server → what it has done since the process was started */
  counters: Record<string, Counters>
  /** lines of the access log as they are written, and failed requests, in order */
  log: (string | AccessEntry)[]
  /** lines that were not logged because the supervisor was too slow */
  lost: number
}

/** An error on its way to another process. */
export interface ErrorData {
  code?: string
  message: string
  item?: string
  likely?: string
  next?: string
}

/** Descriptor of the first file that a serving process inherits; those before are the standard ones and the channel. */
export const firstInherited = 4

export function errorData(error: unknown): ErrorData {
  if (!(error instanceof AirgapError))
    return { message: error instanceof Error ? error.message : String(error) }
  const { code, message, item, likely, next } = error
  return defined({ code, message, item, likely, next })
}

export function errorOf({ code, message, ...details }: ErrorData): AirgapError {
  return new AirgapError(isKnownCode(code) ? code : 'INTERNAL', message, details)
}
