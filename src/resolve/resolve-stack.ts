import pLimit from 'p-limit'
import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { together } from '../core/failures.ts'
import { formatPlatform } from '../core/platform.ts'
import { kinds } from '../kinds/index.ts'
import { describeLock } from '../kinds/items.ts'
import type { ResolveContext } from '../kinds/kind.ts'
import type { Lock, LockItem, RuntimeFile, SiteFacts } from '../lock/schema.ts'
import type { StackManifest } from '../manifest/stack.ts'
import { withCompatibility } from './compatibility.ts'
import { inputsDigest } from './inputs.ts'

/**
 * Manifest → lock: the only use case that looks at mutable upstream state. Every item is tried, and all that cannot be
 * resolved is reported together; a wrong digest or signature stops at once.
 */
export async function resolveStack(
  manifest: StackManifest,
  options: {
    context: ResolveContext
    /** may still be read while items are resolved */
    runtime: RuntimeFile[] | Promise<RuntimeFile[]>
    concurrency: number
    site?: SiteFacts[]
  },
): Promise<Lock> {
  const limit = pLimit(options.concurrency)
  const jobs = kinds.flatMap(kind => kind.jobs(manifest).map(job => ({ kind: kind.name, ...job })))
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, options.context.signal])
  const context = { ...options.context, signal }
  const { progress } = context
  progress.total(jobs.length, 0)
  const failures: unknown[] = []
  const found: (LockItem | undefined)[] = await Promise.all(
    jobs.map((job, i) =>
      limit(async () => {
        signal.throwIfAborted()
        try {
          const item = await job.resolve(context)
          progress.done(`${job.kind} ${item.name}`, 0)
          return item
        } catch (error) {
          signal.throwIfAborted()
          if (error instanceof AirgapError && error.exitCode === 6) {
            // items that are still waiting must not start
            stop.abort(error)
            throw error
          }
          failures[i] = error
          return undefined
        }
      }),
    ),
  )
  // in the order of the manifest, whichever failed first
  const failed = failures.filter(failure => failure !== undefined)
  if (failed.length > 0) throw together(failed, jobs.length)
  const items: Record<string, LockItem[]> = {}
  jobs.forEach((job, i) => {
    const item = found[i]
    if (item !== undefined) (items[job.kind] ??= []).push(item)
  })
  for (const list of Object.values(items)) list.sort((a, b) => compareText(a.name, b.name))
  const variants = manifest.variants.filter(({ included }) => included).map(({ name }) => name)
  const lock: Lock = {
    lockVersion: 1,
    name: manifest.name,
    version: manifest.version,
    platforms: manifest.platforms.map(formatPlatform),
    inputs: inputsDigest(manifest),
    collisions: manifest.collisions,
    ...(manifest.testUpstream ? { testUpstream: true as const } : {}),
    ...(variants.length > 0 ? { variants } : {}),
    ...(options.site === undefined || options.site.length === 0 ? {} : { site: options.site }),
    runtime: await options.runtime,
    items,
  }
  if (manifest.firstUse === 'refuse') refuseFirstUse(lock)
  return await withCompatibility(lock, manifest)
}

function refuseFirstUse(lock: Lock): void {
  const unknown = describeLock(lock).filter(item => item.firstUse)
  if (unknown.length === 0) return
  throw new AirgapError(
    'UNRESOLVABLE',
    `${unknown.length} items have no checksum from their publisher, and firstUse is refuse`,
    {
      item: unknown.map(item => item.name).join(', '),
      next: 'check them by other means and write their sha256 into the manifest',
    },
  )
}
