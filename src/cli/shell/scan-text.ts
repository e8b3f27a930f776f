import { countBySeverity, counts, type Finding, type ScanResult, severities } from '../../scan/finding.ts'
import { localTime } from './format.ts'
import type { StyledLine } from './output.ts'

/** Findings by target, the gravest first; what VEX takes out is counted, and listed with its reason. */
export function scanText(result: ScanResult): StyledLine[] {
  const { bundle, scanner, database, targets, findings, vex } = result
  const built = database.built === undefined ? 'of unknown age' : `of ${localTime(database.built)}`
  const packages = targets.reduce((sum, target) => sum + target.packages, 0)
  const notRead = targets.reduce((sum, target) => sum + target.notRead, 0)
  const lines: StyledLine[] = [
    { text: `${bundle.name} ${bundle.version}: ${summary(findings)}`, style: 'heading' },
    { text: `  ${packages} packages in ${targets.length} images and package lists` },
    { text: `  ${scanner.name} ${scanner.version}, database ${built}` },
  ]
  if (vex.length > 0)
    lines.push({
      text: `  VEX: ${vex.join(', ')}: ${findings.filter(one => !counts(one)).length} findings do not count`,
    })
  if (notRead > 0)
    lines.push({
      text: `  ${notRead} layers or files could not be read (\`inspect BUNDLE layers\` lists them)`,
      style: 'warning',
    })
  for (const [target, own] of Map.groupBy(findings, ({ target: name, platform }) =>
    [name, platform].filter(Boolean).join(' '),
  )) {
    lines.push({ text: '' }, { text: `${target}: ${summary(own)}`, style: 'heading' })
    lines.push(...own.map(lineOf))
  }
  return lines
}

/** `2 critical, 1 high`; `no findings` */
function summary(findings: readonly Finding[]): string {
  const numbers = countBySeverity(findings)
  const shown = severities.filter(severity => numbers[severity] > 0)
  return shown.length === 0
    ? 'no findings'
    : shown.map(severity => `${numbers[severity]} ${severity}`).join(', ')
}

function lineOf(finding: Finding): StyledLine {
  const { id, severity, package: name, version, fixedIn, vex } = finding
  const parts = [severity.padEnd(10), id.padEnd(16), `${name} ${version}`]
  if (fixedIn.length > 0) parts.push(`fixed in ${fixedIn.join(', ')}`)
  if (vex !== undefined)
    parts.push(`VEX: ${vex.status}${vex.justification === undefined ? '' : ` (${vex.justification})`}`)
  const style = counts(finding)
    ? severity === 'critical' || severity === 'high'
      ? 'warning'
      : undefined
    : 'faint'
  return { text: `  ${parts.join('  ')}`, ...(style === undefined ? {} : { style }) }
}
