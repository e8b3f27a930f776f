import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { z } from 'zod'
import { AppendedFile } from '../core/appended-file.ts'
import { defined } from '../core/defined.ts'
import { type Digest, isDigest } from '../core/digest.ts'
import { fromSystemError } from '../core/errors.ts'
import { readTextFile } from '../core/text-file.ts'

/** The progress of a slot. */
export interface SlotState {
  complete: boolean
  /** bytes in the file */
  received: number
  validator?: string | undefined
}

export interface SlotJournalState {
  layoutDigest: Digest
  /** of the boot that wrote it: what was not synced then may have been lost since */
  boot: string
  slots: Map<Digest, SlotState>
}

const digest = z.string().refine(isDigest)
const headSchema = z.strictObject({ journal: z.literal(1), layout: digest, boot: z.string() })
const lineSchema = z.union([
  z.strictObject({ complete: digest }),
  z.strictObject({
    slot: digest,
    received: z.number().int().nonnegative(),
    validator: z.string().optional(),
  }),
])

/**
 * Reads the journal of a killed build; undefined if there is none, or its first line is invalid. Only the last line can be partial: what
 * follows the first invalid line is ignored.
 */
export async function readSlotJournal(path: string): Promise<SlotJournalState | undefined> {
  const text = await readTextFile(path)
  if (text === undefined) return undefined
  const [first, ...lines] = text.split('\n')
  const head = headSchema.safeParse(parse(first ?? ''))
  if (!head.success) return undefined
  const state: SlotJournalState = {
    layoutDigest: head.data.layout as Digest,
    boot: head.data.boot,
    slots: new Map(),
  }
  for (const line of lines) {
    const parsed = lineSchema.safeParse(parse(line))
    if (!parsed.success) break
    const entry = parsed.data
    if ('complete' in entry) state.slots.set(entry.complete as Digest, { complete: true, received: 0 })
    else {
      const { received, validator } = entry
      state.slots.set(entry.slot as Digest, { complete: false, received, validator })
    }
  }
  return state
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/**
 * The journal of a build: appended lines beside the unfinished bundle. It is neither synced nor trusted: the next run hashes again what
 * it calls complete, and unfinished slots of another boot start over.
 */
export class SlotJournal {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #file: AppendedFile
  #waiting: string[] = []
  #writing: Promise<void> | undefined

  private constructor(path: string, { handle, size }: { handle: FileHandle; size: number }) {
    this.#path = path
    this.#handle = handle
    this.#file = new AppendedFile(handle, size)
  }

  /** Starts a journal with the content of `state`; it replaces an older one only once it is complete. */
  static async create(path: string, state: SlotJournalState): Promise<SlotJournal> {
    const temporary = `${path}.tmp`
    try {
      const handle = await open(temporary, 'w', 0o644)
      const lines = [
        { journal: 1, layout: state.layoutDigest, boot: state.boot },
        ...[...state.slots].map(lineOf),
      ]
      const text = lines.map(line => `${JSON.stringify(line)}\n`).join('')
      await handle.writeFile(text)
      await rename(temporary, path)
      return new SlotJournal(path, { handle, size: Buffer.byteLength(text) })
    } catch (error) {
      await rm(temporary, { force: true })
      throw fromSystemError(error, path)
    }
  }

  /** Resolves once the line is written. Lines that wait meanwhile are written together. */
  record(slot: Digest, state: SlotState): Promise<void> {
    this.#waiting.push(`${JSON.stringify(lineOf([slot, state]))}\n`)
    this.#writing ??= this.#drain()
    return this.#writing
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const text = this.#waiting.join('')
        this.#waiting = []
        await this.#file.append(text)
      }
    } catch (error) {
      throw fromSystemError(error, this.#path)
    } finally {
      this.#writing = undefined
    }
  }

  async close(): Promise<void> {
    await this.#writing?.catch(() => {})
    await this.#handle.close()
  }
}

function lineOf([slot, state]: [Digest, SlotState]): object {
  if (state.complete) return { complete: slot }
  return defined({ slot, received: state.received, validator: state.validator })
}
