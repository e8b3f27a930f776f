import type { Command } from 'commander'
import { stackVersions } from '../../build/compatibility.ts'
import { checkVersions, planUpgrade, type UpgradePlan, type Verdict } from '../../compat/check.ts'
import { loadCompatibility } from '../../compat/load.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { readLock } from '../../lock/lock.ts'
import { loadManifest } from '../../manifest/load.ts'
import { repeated } from '../shell/arguments.ts'
import type { Shell } from '../shell/run.ts'
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
      const broken = plan === undefined ? verdicts.filter(one => one.result === 'broken') : plan.broken
      if (broken.length + (plan?.forbidden.length ?? 0) > 0) {
        throw new AirgapError(
          'INCOMPATIBLE',
          plan === undefined ? 'a rule is broken' : 'this upgrade is not allowed as it is',
          {
            item: [
              ...broken.map(one => one.rule.id),
              ...(plan?.forbidden.map(one => one.step.component) ?? []),
            ].join(', '),
            next:
              plan === undefined
                ? 'change one of the versions that the rule names'
                : 'add what the rules name with further --upgrade, or choose another version',
          },
        )
      }
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

function verdictLines({ rule, result, found }: Verdict): string[] {
  const versions = found.map(
    ({ component, version, range }) => `${component} ${version ?? 'unknown'} in ${range}`,
  )
  return [`${result.padEnd(8)} ${rule.why}`, `${' '.repeat(9)}${versions.join(', ')}  [${rule.source}]`]
}

function planLines({ steps, broken, forbidden, backupFirst }: UpgradePlan): string[] {
  return [
    'upgrade, in this order:',
    ...(backupFirst ? ['  backup'] : []),
    ...steps.map(({ component, from, to }) => `  ${component} ${from} -> ${to}`),
    ...forbidden.map(({ step, why }) => `not allowed: ${step.component} ${step.from} -> ${step.to}: ${why}`),
    ...broken.flatMap(verdictLines),
  ]
}
