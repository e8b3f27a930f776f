import pLimit from 'p-limit'
import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
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
import { withoutSignedLinks } from './signed-links.ts'

/**
 * Resolves a manifest to a lock: the only use case that reads mutable upstream state. Every item is tried, and the failures are
 * reported together; a wrong digest or signature stops everything at once.
 */
export async function resolveStack(
  manifest: StackManifest,
  options: {
    context: ResolveContext
    /** a promise, if the files are still being hashed while items are resolved */
    runtime: RuntimeFile[] | Promise<RuntimeFile[]>
    /** items that are resolved at the same time */
    concurrency: number
    /** the same for light kinds (default: `concurrency`) */
    lightConcurrency?: number
    site?: SiteFacts[]
  },
): Promise<Lock> {
  const limits = {
    heavy: pLimit(options.concurrency),
    light: pLimit(options.lightConcurrency ?? options.concurrency),
  }
  const jobs = kinds.flatMap(kind => kind.jobs(manifest).map(job => ({ kind, ...job })))
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, options.context.signal])
  const context = { ...options.context, signal }
  const { progress } = context
  progress.phase('Resolving')
  progress.total(jobs.length, 0)
  const failures: unknown[] = []
  const found: (LockItem | undefined)[] = await Promise.all(
    jobs.map((job, i) =>
      limits[job.kind.light ? 'light' : 'heavy'](async () => {
        signal.throwIfAborted()
        const ended = progress.running(`${job.kind} ${job.label}`)
        try {
          const item = await withoutSignedLinks(await job.resolve(context), { kind: job.kind, context })
          progress.done(`${job.kind.name} ${item.name}`, 0)
          return item
        } catch (error) {
          signal.throwIfAborted()
          if (error instanceof AirgapError && error.exitCode === 6) {
            // waiting items must not start
            stop.abort(error)
            throw error
          }
          failures[i] = error
          return undefined
        } finally {
          ended()
        }
      }),
    ),
  )
  // in the order of the manifest, not of their occurrence
  const failed = failures.filter(failure => failure !== undefined)
  if (failed.length > 0) throw together(failed, jobs.length)
  const items: Record<string, LockItem[]> = {}
  jobs.forEach((job, i) => {
    const item = found[i]
    if (item !== undefined) (items[job.kind.name] ??= []).push(item)
  })
  for (const [kind, list] of Object.entries(items)) items[kind] = distinctItems(kind, list)
  const variants = manifest.variants.filter(({ included }) => included).map(({ name }) => name)
  const lock: Lock = {
    lockVersion: 1,
    name: manifest.name,
    version: manifest.version,
    platforms: manifest.platforms.map(formatPlatform),
    inputs: inputsDigest(manifest),
    collisions: manifest.collisions,
    ...defined({
      testUpstream: manifest.testUpstream,
      variants: variants.length > 0 ? variants : undefined,
      site: options.site?.length ? options.site : undefined,
    }),
    runtime: await options.runtime,
    items,
  }
  if (manifest.firstUse === 'refuse') refuseFirstUse(lock)
  return await withCompatibility(lock, manifest, text => progress.note(text))
}

/** Sorted by name. A version and a constraint of the manifest may lead to the same item, which is locked once. */
function distinctItems(kind: string, list: readonly LockItem[]): LockItem[] {
  const found = new Map<string, LockItem>()
  for (const item of list) {
    const before = found.get(item.name)
    if (before !== undefined && canonicalJson(before) !== canonicalJson(item)) {
      throw new AirgapError('NAME_COLLISION', `two entries of kind ${kind} resolve to different content`, {
        item: item.name,
        next: 'keep one of them in the manifest',
      })
    }
    found.set(item.name, item)
  }
  return [...found.values()].sort((a, b) => compareText(a.name, b.name))
}

function refuseFirstUse(lock: Lock): void {
  const unknown = describeLock(lock).filter(item => item.firstUse)
  if (unknown.length === 0) return
  throw new AirgapError(
    'UNRESOLVABLE',
    `${unknown.length} items have no checksum from their publisher, and the manifest sets firstUse: refuse`,
    {
      item: unknown.map(item => item.name).join(', '),
      next: 'verify them in another way and write their sha256 into the manifest',
    },
  )
}
