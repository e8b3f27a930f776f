import { printableJson } from '../core/printable.ts'
import type { AccessEntry } from './served.ts'

/** Where the requests of a server are logged. */
export interface LogSink {
  /** whether every request is logged, or only those that failed */
  readonly all: boolean
  /** Writes a line of the log. */
  line(text: string): void
  /** Logs a request that failed on this side. */
  failed(entry: AccessEntry): void
}

/** Returns the line of an entry: JSON, with its time. */
export function accessLine(entry: AccessEntry, at: Date): string {
  return printableJson(JSON.stringify({ at: at.toISOString(), ...entry }))
}

export function logEntry(entry: AccessEntry, log: LogSink): void {
  if (entry.error !== undefined || entry.status >= 500) log.failed(entry)
  else if (log.all) log.line(accessLine(entry, new Date()))
}

/** A line for something that is no request. */
export function eventLine(at: Date, event: object): string {
  return JSON.stringify({ at: at.toISOString(), ...event })
}
