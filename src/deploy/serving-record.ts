import { rm } from 'node:fs/promises'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { readGuarded } from '../core/guarded-file.ts'
import type { Serving } from './serving-options.ts'

const counters = z.object({
  requests: z.number(),
  bytes: z.number(),
  aborted: z.number(),
  statuses: z.record(z.string(), z.number()),
})
const processState = z.object({
  process: z.number(),
  since: z.string(),
  open: z.record(z.string(), z.number()),
})
const schema = z.object({
  /** process id of the servers, or of their supervisor */
  process: z.number(),
  /** ISO 8601, as all times here */
  since: z.string(),
  /** when this was written: what happened in the last seconds is missing */
  at: z.string(),
  /** the processes that answer requests; none where `process` does */
  processes: z.array(processState),
  /** processes from before a reload, which finish their answers */
  draining: z.array(processState).default([]),
  /** number of processes that ended unexpectedly and were started again */
  restarts: z.number(),
  /** the last of them; null: none */
  lastEnd: z.object({ process: z.number(), at: z.string(), reason: z.string() }).nullable(),
  /** server → what it has done since `since` */
  servers: z.record(z.string(), counters),
})

/** What the running servers say of themselves, in the state folder: it needs no request, and nobody else can read it. */
export type ServingRecord = z.infer<typeof schema>

const maxRecord = 1 << 20 /* bytes */
const writeEvery = 5_000 /* milliseconds */

/** Keeps the record until it is closed. A record that cannot be written (a full disk) is missing, and the servers run on. */
export async function keepServingRecord(
  serving: Pick<Serving, 'state'>,
  { path, now }: { path: string; now: () => Date },
): Promise<{ write(): Promise<void>; close(): Promise<void> }> {
  const since = now().toISOString()
  let last = ''
  let writing = Promise.resolve()

  async function write(): Promise<void> {
    const state = serving.state()
    const text = JSON.stringify(state)
    if (text === last) return
    last = text
    const record: ServingRecord = { process: process.pid, since, at: now().toISOString(), ...state }
    await writeAtomically(path, `${JSON.stringify(record)}\n`, 0o600).catch(() => {})
  }

  function writeNext(): Promise<void> {
    writing = writing.then(write)
    return writing
  }

  const timer = setInterval(writeNext, writeEvery)
  timer.unref()
  await write()
  return {
    write: writeNext,
    async close() {
      clearInterval(timer)
      await writing
      await rm(path, { force: true })
    },
  }
}

/** Returns the record of this process; undefined where there is none, or one of servers that ran before. */
export async function readServingRecord(path: string, process: number): Promise<ServingRecord | undefined> {
  try {
    const found = await readGuarded(path, maxRecord)
    const record = schema.parse(JSON.parse(found?.bytes.toString('utf8') ?? ''))
    return record.process === process ? record : undefined
  } catch {
    return undefined
  }
}
