import type { Command } from 'commander'
import { checkVersions, planUpgrade } from '../../compat/check.ts'
import { loadCompatibility } from '../../compat/load.ts'
import { refuseIncompatible } from '../../compat/refuse.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { readLock } from '../../lock/lock.ts'
import { loadManifest } from '../../manifest/load.ts'
import { stackVersions } from '../../resolve/compatibility.ts'
import { repeated } from '../shell/arguments.ts'
import type { Shell } from '../shell/run.ts'
import { planLines, verdictLines } from '../shell/verdicts.ts'
import { defaultLockPath } from './context.ts'

interface CompatOptions {
  file: string
  upgrade: string[]
}

export function compatCommand(program: Command, shell: Shell): void {
  program
    .command('compat')
    .description('which versions go together, and what an upgrade would need; exit 4 where a rule is broken')
    .option('-f, --file <manifest>', 'stack manifest', 'stack.yaml')
    .option('--upgrade <component=version>', 'a candidate (repeatable)', repeated, [])
    .action(async ({ file, upgrade }: CompatOptions) => {
      const manifest = await loadManifest(file)
      if (manifest.compatibility === undefined) {
        throw new AirgapError('USAGE', 'the manifest names no rules', {
          item: file,
          next: 'add `compatibility: compatibility.yaml`',
        })
      }
      const rules = await loadCompatibility(manifest.compatibility)
      const now = stackVersions(rules, { manifest, wheels: await lockedWheels(file) })
      const titles = new Map(Object.entries(rules.components).map(([name, { title }]) => [name, title]))
      const wanted = new Map(upgrade.map(text => candidate(text, titles)))
      const verdicts = checkVersions(rules, now)
      const plan = wanted.size === 0 ? undefined : planUpgrade(rules, { now, wanted })
      shell.print({ versions: Object.fromEntries(now), verdicts, upgrade: plan ?? null }, () =>
        [
          ...[...titles].map(([name, title]) => `${title.padEnd(30)} ${now.get(name) ?? 'not known'}`),
          '',
          ...verdicts.flatMap(verdictLines),
          ...(plan === undefined ? [] : ['', ...planLines(plan)]),
        ].join('\n'),
      )
      refuseIncompatible(
        plan ?? { broken: verdicts.filter(one => one.result === 'broken') },
        plan === undefined
          ? { message: 'a rule is broken', next: 'change one of the versions that the rule names' }
          : {
              message: 'this upgrade is not allowed as it is',
              next: 'add what the rules name with further --upgrade, or choose another version',
            },
      )
    })
}

async function lockedWheels(file: string) {
  try {
    return (await readLock(defaultLockPath(file))).items['wheel'] ?? []
  } catch (error) {
    if (isErrorCode(error, 'FILE_NOT_FOUND', 'LOCK_INVALID')) return []
    throw error
  }
}

function candidate(text: string, titles: ReadonlyMap<string, string>): [string, string] {
  const at = text.indexOf('=')
  const name = text.slice(0, at)
  if (at > 0 && titles.has(name) && text.length > at + 1) return [name, text.slice(at + 1)]
  throw new AirgapError('USAGE', 'not a candidate for an upgrade', {
    item: text,
    next: `write it as COMPONENT=VERSION; the components are ${[...titles.keys()].join(', ')}`,
  })
}
