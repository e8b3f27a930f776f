import type { Command } from 'commander'
import { checkVersions, planUpgrade } from '../../compat/check.ts'
import { loadCompatibility } from '../../compat/load.ts'
import { refuseIncompatible } from '../../compat/refuse.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { readLock } from '../../lock/lock.ts'
import type { Lock } from '../../lock/schema.ts'
import { loadManifest } from '../../manifest/load.ts'
import { falseClaimText, stackFalseClaims, stackVersions } from '../../resolve/compatibility.ts'
import { repeated } from '../shell/arguments.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { planLines, verdictLines } from '../shell/verdicts.ts'
import { defaultLockPath } from './context.ts'

interface CompatOptions {
  file: string
  upgrade: string[]
}

export function compatCommand(program: Command, shell: Shell): void {
  addExamples(program.command('compat'), [
    ['airgap compat -f stack.yaml'],
    ['airgap compat --upgrade kubernetes=v1.29.5', 'what this upgrade requires, and in which order'],
  ])
    .description(
      'Check the versions of the stack, or an upgrade, against the compatibility rules; exit 4 if one is broken',
    )
    .option('-f, --file <manifest>', 'stack manifest', 'stack.yaml')
    .option('--upgrade <component=version>', 'check an upgrade to this version (repeatable)', repeated, [])
    .action(async ({ file, upgrade }: CompatOptions) => {
      const manifest = await loadManifest(file)
      if (manifest.compatibility === undefined) {
        throw new AirgapError('USAGE', 'the manifest has no compatibility rules', {
          item: file,
          next: 'add `compatibility: compatibility.yaml` to the manifest',
        })
      }
      const rules = await loadCompatibility(manifest.compatibility)
      const stack = { manifest, locked: await lockedItems(file) }
      const now = stackVersions(rules, stack)
      const claims = stackFalseClaims(rules, stack)
      const titles = new Map(Object.entries(rules.components).map(([name, { title }]) => [name, title]))
      const wanted = new Map(upgrade.map(text => candidate(text, titles)))
      const verdicts = checkVersions(rules, now)
      const plan = wanted.size === 0 ? undefined : planUpgrade(rules, { now, wanted })
      shell.print({ versions: Object.fromEntries(now), claims, verdicts, upgrade: plan ?? null }, () => [
        ...[...titles].map(([name, title]) => `${title.padEnd(30)} ${now.get(name) ?? 'unknown'}`),
        '',
        ...claims.map(falseClaimText),
        ...verdicts.flatMap(verdictLines),
        ...(plan === undefined ? [] : ['', ...planLines(plan)]),
      ])
      refuseIncompatible(
        plan ?? { broken: verdicts.filter(one => one.result === 'broken') },
        plan === undefined
          ? {
              message: 'a compatibility rule is broken',
              next: 'change one of the versions that the rule names',
            }
          : {
              message: 'the rules do not allow this upgrade',
              next: 'also upgrade the components that the rules name (repeat --upgrade), or choose another version',
            },
      )
    })
}

async function lockedItems(file: string): Promise<Lock['items']> {
  try {
    return (await readLock(defaultLockPath(file))).items
  } catch (error) {
    if (isErrorCode(error, 'FILE_NOT_FOUND', 'LOCK_INVALID')) return {}
    throw error
  }
}

function candidate(text: string, titles: ReadonlyMap<string, string>): [string, string] {
  const at = text.indexOf('=')
  const name = text.slice(0, at)
  if (at > 0 && titles.has(name) && text.length > at + 1) return [name, text.slice(at + 1)]
  throw new AirgapError('USAGE', 'the value of --upgrade is invalid', {
    item: text,
    next: `write it as COMPONENT=VERSION; the components are ${[...titles.keys()].join(', ')}`,
  })
}
