import pLimit from 'p-limit'
import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { formatPlatform } from '../core/platform.ts'
import { kinds } from '../kinds/index.ts'
import type { ItemSummary, ResolveContext } from '../kinds/kind.ts'
import type { Lock, LockItem, RuntimeFile } from '../lock/schema.ts'
import type { StackManifest } from '../manifest/stack.ts'
import { together } from './failures.ts'
import { inputsDigest } from './inputs.ts'

/**
 * Manifest → lock: the only use case that looks at mutable upstream state. Every item is tried, and all that cannot be
 * resolved is reported together; a wrong digest or signature stops at once.
 */
export async function resolveStack(
  manifest: StackManifest,
  options: { context: ResolveContext; runtime: RuntimeFile[]; concurrency: number },
): Promise<Lock> {
  const limit = pLimit(options.concurrency)
  const items: Record<string, LockItem[]> = {}
  const failures: unknown[] = []
  const jobs = kinds.flatMap(kind => kind.jobs(manifest).map(job => ({ kind: kind.name, ...job })))
  options.context.progress.total(jobs.length, 0)
  await Promise.all(
    jobs.map(job =>
      limit(async () => {
        options.context.signal.throwIfAborted()
        try {
          const item = await job.resolve(options.context)
          ;(items[job.kind] ??= []).push(item)
          options.context.progress.done(`${job.kind} ${item.name}`, 0)
        } catch (error) {
          if (error instanceof AirgapError && error.exitCode === 6) throw error
          failures.push(error)
        }
      }),
    ),
  )
  if (failures.length > 0) throw together(failures, jobs.length)
  for (const list of Object.values(items)) list.sort((a, b) => compareText(a.name, b.name))
  const lock: Lock = {
    lockVersion: 1,
    name: manifest.name,
    version: manifest.version,
    platforms: manifest.platforms.map(formatPlatform),
    inputs: inputsDigest(manifest),
    collisions: manifest.collisions,
    runtime: options.runtime,
    items,
  }
  if (manifest.firstUse === 'refuse') refuseFirstUse(lock)
  return lock
}

/** What `inspect`, `plan` and `diff` show of a lock. */
export function describeLock(lock: Lock): ({ kind: string } & ItemSummary)[] {
  return kinds.flatMap(kind =>
    kind.describe(lock.items[kind.name] ?? []).map(item => ({ kind: kind.name, ...item })),
  )
}

function refuseFirstUse(lock: Lock): void {
  const unknown = describeLock(lock).filter(item => item.firstUse)
  if (unknown.length === 0) return
  throw new AirgapError(
    'UNRESOLVABLE',
    `${unknown.length} items have no checksum by their publisher, and firstUse is refuse`,
    {
      item: unknown.map(item => item.name).join(', '),
      next: 'write their sha256 into the manifest after checking them by another way',
    },
  )
}
