import type { Command } from 'commander'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { describeLock } from '../../kinds/items.ts'
import { differenceOf, type LockDifference } from '../../kinds/lock-changes.ts'
import { leftOutOf } from '../../lock/left-out.ts'
import { readLock, recordTheSame, writeLock } from '../../lock/lock.ts'
import type { Lock } from '../../lock/schema.ts'
import { repeated } from '../shell/arguments.ts'
import { countsOf, renderChanges } from '../shell/changes-text.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes } from '../shell/format.ts'
import type { StyledLine } from '../shell/output.ts'
import type { Shell } from '../shell/run.ts'
import { vouchersOf, vouchersText } from '../shell/vouchers-text.ts'
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
      shell.whenStopped('nothing was written; the cache keeps what was fetched')
      const stack = await openStack(options, { progress, signal: shell.signal })
      try {
        const before = await lockIfAny(stack.lockPath)
        const after = await resolveNow(stack, { ...options, progress, signal: shell.signal })
        const difference = before ? differenceOf(before, after) : undefined
        const same = before !== undefined && recordTheSame(before, after)
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
            changes: difference?.changes ?? null,
            settings: difference?.settings ?? null,
            leftOut,
            otherVariants,
            ...totals(after),
            vouchers: vouchersOf(describeLock(after)),
          },
          () => render(stack.lockPath, { after, difference, same, written, otherVariants }),
        )
        if (options.check && !same) throw outOfDate(stack.lockPath, { before, difference })
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

function outOfDate(
  item: string,
  { before, difference }: { before: Lock | undefined; difference: LockDifference | undefined },
): AirgapError {
  const changes = difference?.changes ?? []
  return new AirgapError('LOCK_OUT_OF_DATE', 'the lockfile is out of date', {
    item,
    likely:
      before === undefined
        ? 'it does not exist yet'
        : `${changes.length > 0 ? countsOf(changes, 0) : 'the manifest has changed'}; stdout lists the differences`,
    next: 'run `airgap lock` and review the difference',
  })
}

function render(
  path: string,
  result: {
    after: Lock
    difference: LockDifference | undefined
    same: boolean
    written: boolean
    otherVariants: string[]
  },
): StyledLine[] {
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
  lines.push(...vouchersText(describeLock(result.after)))
  const state = result.same ? 'unchanged' : result.written ? 'written' : 'not written'
  const { difference } = result
  return [
    { text: `${path}: ${state}`, style: 'heading' },
    ...lines.map(text => ({ text })),
    ...(difference === undefined ? [] : renderChanges(difference)),
  ]
}
