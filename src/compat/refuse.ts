import { AirgapError } from '../core/errors.ts'
import type { UpgradePlan, Verdict } from './check.ts'

/** Throws INCOMPATIBLE with every rule that is broken. */
export function refuseBroken(verdicts: readonly Verdict[], item: string): void {
  const broken = verdicts.filter(verdict => verdict.result === 'broken')
  if (broken.length === 0) return
  const lines = broken.map(({ rule, found }) => {
    const versions = found.map(versionText).join(', ')
    return `  ${rule.id}: ${versions}: ${rule.why} [${rule.source}]`
  })
  throw new AirgapError('INCOMPATIBLE', `incompatible versions:\n${lines.join('\n')}`, {
    item,
    likely: 'one of them was changed and the other was not',
    next: 'run `airgap compat` for the whole table; change the version, or the rule if it is wrong',
  })
}

/** Throws INCOMPATIBLE where rules are broken, or steps of an upgrade forbidden. */
export function refuseIncompatible(
  { broken, forbidden = [] }: { broken: readonly Verdict[]; forbidden?: UpgradePlan['forbidden'] },
  { message, next }: { message: string; next: string },
): void {
  if (broken.length + forbidden.length === 0) return
  const lines = [
    ...broken.flatMap(({ rule, found }) => [
      `${rule.id}: ${rule.why}`,
      ...found.map(one => `  ${versionText(one)}`),
    ]),
    ...forbidden.map(({ step, why }) => `${step.component} ${step.from} → ${step.to}: ${why}`),
  ]
  throw new AirgapError('INCOMPATIBLE', [`${message}:`, ...lines.map(line => `  ${line}`)].join('\n'), {
    item: [...broken.map(({ rule }) => rule.id), ...forbidden.map(({ step }) => step.component)].join(', '),
    next,
  })
}

/** `kubernetes v1.28.6 (>=1.29.0)` */
function versionText({ component, version, range }: Verdict['found'][number]): string {
  return `${component} ${version ?? 'unknown'} (${range})`
}
