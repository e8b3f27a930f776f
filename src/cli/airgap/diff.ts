import type { Command } from 'commander'
import { contentDifference } from '../../assemble/content-difference.ts'
import { AirgapError } from '../../core/errors.ts'
import { differenceOf } from '../../kinds/lock-changes.ts'
import { countsOf, renderChanges } from '../shell/changes-text.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { lockOf } from './inspect.ts'

export function diffCommand(program: Command, shell: Shell): void {
  addExamples(program.command('diff'), [
    ['airgap diff stack-1.0.0.tar stack-1.1.0.tar'],
    ['git show HEAD:stack.lock.json > old.lock.json && airgap diff old.lock.json stack.lock.json'],
  ])
    .description(
      'Show what changed from one bundle or lockfile to another: versions, digests, sizes, sources',
    )
    .argument('<a>', 'the earlier bundle or lockfile (*.json)')
    .argument('<b>', 'the later bundle or lockfile (*.json)')
    .option('--exit-code', 'exit 3 if they differ')
    .action(async (a: string, b: string, options: { exitCode?: boolean }) => {
      const [before, after] = await Promise.all([lockOf(a), lockOf(b)])
      const difference = differenceOf(before, after)
      const content = contentDifference(before, after)
      const same = difference.changes.length === 0 && difference.settings.length === 0
      const [from, to] = [before, after].map(({ name, version }) => `${name} ${version}`)
      shell.print({ from, to, ...difference, content }, () => [
        {
          text: `${from} → ${to}: ${same ? 'the same content' : countsOf(difference.changes, 0)}`,
          style: 'heading',
        },
        ...(same
          ? []
          : [
              {
                text: `${humanBytes(content.addedBytes)} new, ${humanBytes(content.removedBytes)} no longer carried, ${humanBytes(content.sharedBytes)} in both`,
              },
            ]),
        ...renderChanges(difference),
      ])
      if (options.exitCode && !same)
        throw new AirgapError('DIFFERENT', `the content differs: ${countsOf(difference.changes, 0)}`, {
          item: `${a} ${b}`,
          next: 'run it without --exit-code if a difference is expected',
        })
    })
}
