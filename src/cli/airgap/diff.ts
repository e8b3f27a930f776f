import type { Command } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import { diffLocks } from '../../lock/lock.ts'
import type { Shell } from '../shell/run.ts'
import { lockOf } from './inspect.ts'

export function diffCommand(program: Command, shell: Shell): void {
  program
    .command('diff')
    .description('Show what changed from one bundle or lockfile to another')
    .argument('<a>', 'the earlier bundle or lockfile (*.json)')
    .argument('<b>', 'the later bundle or lockfile (*.json)')
    .option('--exit-code', 'exit 3 if they differ')
    .action(async (a: string, b: string, options: { exitCode?: boolean }) => {
      const [before, after] = await Promise.all([lockOf(a), lockOf(b)])
      const changes = diffLocks(before, after)
      const sign = { added: '+', removed: '-', changed: '~' } as const
      shell.print(
        { from: `${before.name} ${before.version}`, to: `${after.name} ${after.version}`, changes },
        () =>
          [
            `${before.name} ${before.version} → ${after.name} ${after.version}: ${changes.length === 0 ? 'the same content' : counted(changes.length)}`,
            ...changes.map(change => `${sign[change.change]} ${change.kind} ${change.name}`),
          ].join('\n'),
      )
      if (options.exitCode && changes.length > 0)
        throw new AirgapError('DIFFERENT', `the content differs: ${counted(changes.length)}`, {
          item: `${a} ${b}`,
          next: 'run it without --exit-code if a difference is expected',
        })
    })
}

function counted(changes: number): string {
  return changes === 1 ? '1 change' : `${changes} changes`
}
