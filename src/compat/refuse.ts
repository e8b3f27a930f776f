import { AirgapError } from '../core/errors.ts'
import type { UpgradePlan, Verdict } from './check.ts'

/** Throws INCOMPATIBLE with every broken rule. */
export function refuseBroken(verdicts: readonly Verdict[], item: string): void {
  const broken = verdicts.filter(verdict => verdict.result === 'broken')
  if (broken.length === 0) return
  const lines = broken.map(({ rule, found }) => {
    const versions = found.map(versionText).join(', ')
    return `  ${rule.id}: ${versions}: ${rule.why} [${rule.source}]`
  })
  throw new AirgapError('INCOMPATIBLE', ['incompatible versions:', ...lines], {
    item,
    likely: 'one component was upgraded without the other',
    next: 'run `airgap compat` to see all versions; change a version, or correct the rule',
  })
}

/** Throws INCOMPATIBLE if rules are broken or steps of an upgrade are forbidden. */
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
  throw new AirgapError('INCOMPATIBLE', [`${message}:`, ...lines.map(line => `  ${line}`)], {
    item: [...broken.map(({ rule }) => rule.id), ...forbidden.map(({ step }) => step.component)].join(', '),
    next,
  })
}

/** `kubernetes v1.28.6 (>=1.29.0)` */
function versionText({ component, version, range }: Verdict['found'][number]): string {
  return `${component} ${version ?? 'unknown'} (${range})`
}
