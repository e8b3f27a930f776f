import { createHash, randomBytes } from 'node:crypto'
import { expect, onTestFinished } from 'vitest'
import type { DownloadSink } from '../../../src/content/sink.ts'
import type { Descriptor } from '../../../src/core/descriptor.ts'
import { AirgapError, type ErrorCode } from '../../../src/core/errors.ts'
import { type Progress, silentProgress } from '../../../src/core/progress.ts'
import type { Clock } from '../../../src/remote/clock.ts'
import type { CredentialStore } from '../../../src/remote/docker-config.ts'
import {
  createHttpClient,
  type HttpOptions,
  type TransportingHttpClient,
} from '../../../src/remote/http-client.ts'
import { MemorySink } from '../../../src/remote/memory-sink.ts'
import { createRegistryClient, type RegistryOptions } from '../../../src/remote/registry-client.ts'

/** A clock whose sleeps take no time; `slept` tells how long they would have been. */
interface FastClock extends Clock {
  slept: number[]
  advance(ms: number): void
}

function fastClock(start = Date.parse('2026-01-01T00:00:00Z')): FastClock {
  let now = start
  const slept: number[] = []
  return {
    slept,
    now: () => now,
    random: () => 0.5,
    advance(ms) {
      now += ms
    },
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      slept.push(ms)
      now += ms
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}

export interface Notes extends Progress {
  notes: string[]
  bytes: number
}

export function noteTaking(): Notes {
  const progress: Notes = {
    notes: [],
    bytes: 0,
    ...silentProgress,
    advance(bytes) {
      progress.bytes += bytes
    },
    note(message) {
      progress.notes.push(message)
    },
  }
  return progress
}

export interface TestClient {
  http: TransportingHttpClient
  clock: FastClock
  progress: Notes
}

/** A client with a fast clock and no proxy, closed when the test ends. */
export function testClient(options: HttpOptions = {}): TestClient {
  const clock = fastClock()
  const progress = noteTaking()
  const http = createHttpClient({ env: {}, clock, progress, ...options })
  onTestFinished(() => http.close())
  return { http, clock, progress }
}

const noCredentials: CredentialStore = { find: async () => undefined }

export function testRegistry(options: HttpOptions & Omit<RegistryOptions, 'http'> = {}) {
  const client = testClient(options)
  const registry = createRegistryClient({ credentials: noCredentials, ...options, http: client.http })
  return { ...client, registry }
}

export function describeBytes(bytes: Uint8Array): Descriptor {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const
  return { mediaType: 'application/octet-stream', digest, size: bytes.length }
}

export function noise(size: number): Buffer {
  return randomBytes(size)
}

/** A sink in memory that remembers how it was treated. */
export class RecordingSink extends MemorySink implements DownloadSink {
  restarts: (string | undefined)[] = []
  finished = false

  constructor(descriptor: Descriptor) {
    super(descriptor, Number.MAX_SAFE_INTEGER)
  }

  override async restart(validator?: string): Promise<void> {
    // the first restart of an empty sink only notes the validator
    if (this.received > 0) this.restarts.push(validator)
    await super.restart(validator)
  }

  override async finish(): Promise<void> {
    await super.finish()
    this.finished = true
  }
}

/** The AirgapError that the promise ends with; it must say what to do next. */
export async function failure(promise: Promise<unknown>, code: ErrorCode): Promise<AirgapError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof AirgapError)) throw error ?? new Error('it did not fail')
  expect(error.code, error.message).toBe(code)
  expect(error.item, 'item').toBeTruthy()
  expect(error.likely, 'likely').toBeTruthy()
  expect(error.next, 'next').toBeTruthy()
  return error
}
