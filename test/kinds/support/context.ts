import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { z } from 'zod'
import type { Artifact } from '../../../src/content/artifact.ts'
import { LayoutStore } from '../../../src/content/layout-store.ts'
import { readAll } from '../../../src/content/read.ts'
import { canonicalJson } from '../../../src/core/canonical-json.ts'
import { digestOf } from '../../../src/core/digest.ts'
import { AirgapError, type ErrorCode } from '../../../src/core/errors.ts'
import type { Kind, ResolveContext } from '../../../src/kinds/kind.ts'
import type { LockItem } from '../../../src/lock/schema.ts'
import type { Clock } from '../../../src/remote/clock.ts'
import { createRegistryClient } from '../../../src/remote/registry-client.ts'
import type { SourceMap } from '../../../src/remote/source-map.ts'
import { type Notes, testClient } from '../../remote/support/clients.ts'
import { type Handler, serveBytes, startUpstream, type Upstream } from '../../remote/support/upstream.ts'

/** An empty folder, removed when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-kind-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export interface TestContext extends ResolveContext {
  progress: Notes
  /** its sleeps take no time */
  clock: Clock
}

/** Real clients, an empty cache. */
export async function testContext(
  options: { sources?: SourceMap; signal?: AbortSignal } = {},
): Promise<TestContext> {
  const folder = await temporaryFolder()
  const sources = options.sources ?? []
  const { http, progress, clock } = testClient({ sources })
  const credentials = { find: async () => undefined }
  return {
    http,
    registry: createRegistryClient({ http, sources, progress, credentials }),
    cache: await LayoutStore.open(join(folder, 'cache')),
    folder,
    progress,
    clock,
    now: () => new Date(),
    signal: options.signal ?? new AbortController().signal,
  }
}

/** A web server with these paths; a function answers for itself, all else is 404. */
export async function serve(paths: Record<string, Buffer | string | Handler>): Promise<Upstream> {
  return await startUpstream((request, response, upstream) => {
    const path = new URL(request.url ?? '/', upstream.origin).pathname
    const found = Object.hasOwn(paths, path) ? paths[path] : undefined
    if (typeof found === 'function') return found(request, response, upstream)
    if (found === undefined) return void response.writeHead(404).end()
    response.setHeader('content-type', 'application/octet-stream')
    serveBytes(request, response, { bytes: Buffer.from(found) })
  })
}

/** The AirgapError that the promise ends with: it names an item, the likely cause and what to do next. */
export async function refused(promise: Promise<unknown>, code: ErrorCode): Promise<AirgapError> {
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

/** Nothing half-written stays in the cache. */
export async function expectCleanCache(context: ResolveContext): Promise<void> {
  const names = await readdir(context.cache.folder, { recursive: true })
  expect(names.filter(name => name.endsWith('.tmp'))).toEqual([])
}

/** What every kind promises of a locked item: it survives the lockfile, and assembling it is a pure function. */
export async function expectKindContract<L extends LockItem>(
  kind: Pick<Kind<string, z.ZodType, { at: string }, L>, 'schema' | 'assemble' | 'describe'>,
  locked: L,
): Promise<Artifact[]> {
  const read = kind.schema.parse(JSON.parse(canonicalJson(locked)))
  expect(read).toEqual(locked)
  const [once, again] = [kind.assemble([locked]), kind.assemble([read])]
  expect(again).toEqual(once)
  for (const artifact of once) {
    for (const { descriptor, bytes } of artifact.inline) {
      expect(descriptor.digest).toBe(digestOf(bytes))
      expect(descriptor.size).toBe(bytes.length)
    }
    const all = [...artifact.inline, ...artifact.blobs].map(({ descriptor }) => descriptor.digest)
    expect(all, 'the root is part of its artifact').toContain(artifact.root.digest)
    for (const blob of artifact.blobs) expect(blob.sources.length).toBeGreaterThan(0)
  }
  for (const summary of kind.describe(locked)) {
    expect(summary.name).toBeTruthy()
    expect(summary.source).toBeTruthy()
    expect(Number.isSafeInteger(summary.size)).toBe(true)
  }
  expect(() => kind.schema.parse({ ...read, unknown: 1 })).toThrow()
  return once
}

export async function cached(
  context: ResolveContext,
  blob: { digest: string; size: number },
): Promise<Buffer> {
  const descriptor = {
    mediaType: 'application/octet-stream',
    digest: blob.digest as `sha256:${string}`,
    size: blob.size,
  }
  return await readAll(context.cache, descriptor, 1 << 30)
}
