import type { UpgradePlan, Verdict } from '../../compat/check.ts'

/** Renders the verdict of a compatibility rule: its reason, the versions that it compared, and its source. */
export function verdictLines({ rule, result, found }: Verdict): string[] {
  const versions = found.map(
    ({ component, version, range }) => `${component} ${version ?? 'unknown'} in ${range}`,
  )
  return [`${result.padEnd(8)} ${rule.why}`, `${' '.repeat(9)}${versions.join(', ')}  [${rule.source}]`]
}

/** Renders the plan of an upgrade. */
export function planLines({ steps, broken, forbidden, backupFirst }: UpgradePlan): string[] {
  return [
    'upgrade, in this order:',
    ...(backupFirst ? ['  backup'] : []),
    ...steps.map(({ component, from, to }) => `  ${component} ${from} -> ${to}`),
    ...forbidden.map(({ step, why }) => `not allowed: ${step.component} ${step.from} -> ${step.to}: ${why}`),
    ...broken.flatMap(verdictLines),
  ]
}
