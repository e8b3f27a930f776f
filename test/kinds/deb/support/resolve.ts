import { join } from 'node:path'
import { LayoutStore } from '../../../../src/content/layout-store.ts'
import { AirgapError } from '../../../../src/core/errors.ts'
import { silentProgress } from '../../../../src/core/progress.ts'
import { debKind } from '../../../../src/kinds/deb/index.ts'
import type { LockedDebs } from '../../../../src/kinds/deb/locked.ts'
import type { ResolveContext } from '../../../../src/kinds/kind.ts'
import type { DebRequest } from '../../../../src/manifest/stack.ts'
import { createHttpClient } from '../../../../src/remote/http-client.ts'

export interface ResolveOptions {
  /** for the cache */
  folder: string
  now?: Date
}

/** Locks one request with the real HTTP client and a cache under `folder`. */
export async function lockDebs(
  request: Partial<DebRequest> & Pick<DebRequest, 'archive' | 'keys' | 'packages'>,
  options: ResolveOptions,
): Promise<LockedDebs> {
  return withContext(options, context => debKind.resolve(fullRequest(request), context))
}

export function fullRequest(
  request: Partial<DebRequest> & Pick<DebRequest, 'archive' | 'keys' | 'packages'>,
): DebRequest {
  return {
    at: 'stack.yaml:7:5',
    name: 'test',
    suite: 'stable',
    components: ['main'],
    architectures: ['amd64'],
    recommends: false,
    keysAsWritten: request.keys,
    ...request,
  }
}

export async function withContext<T>(
  { folder, now }: ResolveOptions,
  work: (context: ResolveContext) => Promise<T>,
): Promise<T> {
  const http = createHttpClient()
  const unused = () => Promise.reject(new AirgapError('INTERNAL', 'the deb kind asks no registry'))
  try {
    return await work({
      http,
      registry: { manifest: unused, blob: unused, openers: () => [], referrers: unused },
      cache: await LayoutStore.open(join(folder, 'cache')),
      folder,
      progress: silentProgress,
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
