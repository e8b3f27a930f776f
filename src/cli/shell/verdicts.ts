import type { UpgradePlan, Verdict } from '../../compat/check.ts'
import { AirgapError } from '../../core/errors.ts'

/** One rule of compatibility for people: what it says, the versions that it looked at, who says so. */
export function verdictLines({ rule, result, found }: Verdict): string[] {
  const versions = found.map(
    ({ component, version, range }) => `${component} ${version ?? 'unknown'} in ${range}`,
  )
  return [`${result.padEnd(8)} ${rule.why}`, `${' '.repeat(9)}${versions.join(', ')}  [${rule.source}]`]
}

export function planLines({ steps, broken, forbidden, backupFirst }: UpgradePlan): string[] {
  return [
    'upgrade, in this order:',
    ...(backupFirst ? ['  backup'] : []),
    ...steps.map(({ component, from, to }) => `  ${component} ${from} -> ${to}`),
    ...forbidden.map(({ step, why }) => `not allowed: ${step.component} ${step.from} -> ${step.to}: ${why}`),
    ...broken.flatMap(verdictLines),
  ]
}

/** Throws INCOMPATIBLE where rules are broken, or steps of an upgrade forbidden. */
export function refuseIncompatible(
  { broken, forbidden = [] }: { broken: readonly Verdict[]; forbidden?: UpgradePlan['forbidden'] },
  told: { message: string; next: string },
): void {
  if (broken.length + forbidden.length === 0) return
  const why = [
    ...broken.flatMap(({ rule, found }) => [
      `${rule.id}: ${rule.why}`,
      ...found.map(({ component, version, range }) => `  ${component} ${version ?? 'unknown'} (${range})`),
    ]),
    ...forbidden.map(({ step, why: text }) => `${step.component} ${step.from} → ${step.to}: ${text}`),
  ]
  throw new AirgapError('INCOMPATIBLE', [`${told.message}:`, ...why.map(line => `  ${line}`)].join('\n'), {
    item: [...broken.map(one => one.rule.id), ...forbidden.map(one => one.step.component)].join(', '),
    next: told.next,
  })
}
