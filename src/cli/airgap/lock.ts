import type { Command } from 'commander'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { describeLock } from '../../kinds/items.ts'
import { leftOutOf } from '../../lock/left-out.ts'
import { diffLocks, formatLock, type LockChange, readLock, writeLock } from '../../lock/lock.ts'
import type { Lock } from '../../lock/schema.ts'
import { repeated } from '../shell/arguments.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { openStack, resolveNow, type StackOptions } from './context.ts'
import { stackOptions } from './options.ts'

export function lockCommand(program: Command, shell: Shell): void {
  addExamples(stackOptions(program.command('lock')), [
    ['airgap lock -f stack.yaml'],
    ['airgap lock --site node-1.json --site node-2.json', 'packages for the kernels of these machines'],
    ['airgap lock --check', 'in CI: exit 4 if the lockfile is out of date'],
  ])
    .description('Resolve every item of the manifest to exact digests and write the lockfile')
    .option(
      '--site <probe.json>',
      'probe of a machine of the site (offline-deploy probe -o json): add packages for its kernel, leave out those that all machines have (repeatable; none: drop the probes of the lockfile)',
      repeated,
      [],
    )
    .option('--check', 'write nothing; exit 4 if the lockfile would change')
    .option('--dry-run', 'write nothing; show what would change')
    .action(async (options: StackOptions & { check?: boolean; dryRun?: boolean }) => {
      const progress = shell.progress()
      const stack = await openStack(options, { progress, signal: shell.signal })
      try {
        const before = await lockIfAny(stack.lockPath)
        const after = await resolveNow(stack, { ...options, progress, signal: shell.signal })
        const changes = before ? diffLocks(before, after) : undefined
        const same = before !== undefined && formatLock(before) === formatLock(after)
        if (options.check && !same) {
          throw new AirgapError('LOCK_OUT_OF_DATE', 'the lockfile is out of date', {
            item: stack.lockPath,
            likely: changes?.length
              ? changes.slice(0, 10).map(showChange).join(', ')
              : 'the lockfile does not exist yet, or the manifest has changed',
            next: 'run `airgap lock` and review the difference',
          })
        }
        const written = !same && !options.check && !options.dryRun
        if (written) await writeLock(stack.lockPath, after)
        const otherVariants = stack.manifest.variants
          .filter(({ included }) => !included)
          .map(({ name }) => name)
        const leftOut = leftOutOf(after)
        shell.print(
          {
            lock: stack.lockPath,
            written,
            changes: changes ?? null,
            leftOut,
            otherVariants,
            ...totals(after),
          },
          () => render(stack.lockPath, { after, changes, same, written, otherVariants }),
        )
      } finally {
        await stack.http.close()
      }
    })
}

async function lockIfAny(path: string): Promise<Lock | undefined> {
  try {
    return await readLock(path)
  } catch (error) {
    if (isErrorCode(error, 'FILE_NOT_FOUND', 'LOCK_INVALID')) return undefined
    throw error
  }
}

function totals(lock: Lock): { items: Record<string, { items: number; bytes: number }>; firstUse: number } {
  const items: Record<string, { items: number; bytes: number }> = {}
  let firstUse = 0
  for (const { kind, size, firstUse: unknown } of describeLock(lock)) {
    const row = (items[kind] ??= { items: 0, bytes: 0 })
    row.items++
    row.bytes += size
    if (unknown) firstUse++
  }
  return { items, firstUse }
}

function showChange(change: LockChange): string {
  return `${change.kind} ${change.name} ${change.change}`
}

function render(
  path: string,
  result: {
    after: Lock
    changes: LockChange[] | undefined
    same: boolean
    written: boolean
    otherVariants: string[]
  },
): string {
  const { items, firstUse } = totals(result.after)
  const lines = Object.entries(items).map(
    ([kind, row]) =>
      `  ${kind.padEnd(6)} ${String(row.items).padStart(6)}  ${humanBytes(row.bytes).padStart(10)}`,
  )
  if (firstUse > 0) lines.push(`  ${firstUse} without a checksum from the publisher (trusted on first use)`)
  if (result.after.variants) lines.push(`  with ${result.after.variants.join(', ')}`)
  if (result.otherVariants.length > 0)
    lines.push(`  variants not selected: ${result.otherVariants.join(', ')} (--with NAME includes them)`)
  for (const { kind, item, name, reason } of leftOutOf(result.after))
    lines.push(`  left out of ${kind} ${item}: ${name}: ${reason}`)
  for (const change of (result.changes ?? []).slice(0, 50))
    lines.push(`  ${change.change}: ${change.kind} ${change.name}`)
  const state = result.same ? 'unchanged' : result.written ? 'written' : 'not written'
  return [`${path}: ${state}`, ...lines].join('\n')
}
