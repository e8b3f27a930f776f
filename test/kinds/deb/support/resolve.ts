import { join } from 'node:path'
import { LayoutStore } from '../../../../src/content/layout-store.ts'
import { defined } from '../../../../src/core/defined.ts'
import { AirgapError } from '../../../../src/core/errors.ts'
import { silentProgress } from '../../../../src/core/progress.ts'
import type { DebRequest, DebSource } from '../../../../src/kinds/deb/entry.ts'
import { debKind } from '../../../../src/kinds/deb/index.ts'
import type { LockedDebs } from '../../../../src/kinds/deb/locked.ts'
import type { ResolveContext } from '../../../../src/kinds/kind.ts'
import { createHttpClient } from '../../../../src/remote/http-client.ts'

export interface ResolveOptions {
  /** for the cache */
  folder: string
  now?: Date
  /** receives what is worth a note */
  notes?: string[]
}

/** Locks one request with the real HTTP client and a cache under `folder`. */
export async function lockDebs(request: OneSuite, options: ResolveOptions): Promise<LockedDebs> {
  return withContext(options, context => debKind.resolve(fullRequest(request), context))
}

/** A request for one suite, its own fields beside those of the request. */
export type OneSuite = Partial<DebRequest> &
  Partial<DebSource> &
  Pick<DebSource, 'archive' | 'keys'> &
  Pick<DebRequest, 'packages'>

export function fullRequest({
  archive,
  suite,
  components,
  keys,
  suiteName,
  priority,
  ...request
}: OneSuite): DebRequest {
  return {
    at: 'stack.yaml:7:5',
    name: 'test',
    sources: [sourceOf({ archive, suite, components, keys, suiteName, priority })],
    architectures: ['amd64'],
    foreignArchitectures: [],
    kernelPackages: [],
    recommends: false,
    pins: [],
    base: { type: 'none' },
    ...request,
  }
}

export function sourceOf(source: {
  archive: string
  keys: string[]
  suite?: string | undefined
  components?: string[] | undefined
  suiteName?: string | undefined
  priority?: number | undefined
}): DebSource {
  const { archive, keys, suite = 'stable', components = ['main'], suiteName, priority } = source
  return {
    archive,
    suite,
    components,
    keys,
    keysAsWritten: keys,
    ...defined({ suiteName, priority }),
  }
}

export async function withContext<T>(
  { folder, now, notes = [] }: ResolveOptions,
  work: (context: ResolveContext) => Promise<T>,
): Promise<T> {
  const http = createHttpClient()
  const unused = () => Promise.reject(new AirgapError('INTERNAL', 'the deb kind asks no registry'))
  try {
    return await work({
      http,
      registry: { manifest: unused, tags: unused, blob: unused, openers: () => [], referrers: unused },
      cache: await LayoutStore.open(join(folder, 'cache')),
      folder,
      progress: { ...silentProgress, note: message => notes.push(message) },
      now: () => now ?? new Date(),
      signal: new AbortController().signal,
    })
  } finally {
    await http.close()
  }
}

/** The error of a promise that must fail, as the operator's facts. */
export async function errorOf(promise: Promise<unknown>): Promise<AirgapError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof AirgapError) return error
    throw error
  }
  throw new Error('it did not fail')
}
