import { z } from 'zod'

/** From the gravest down. */
export const severities = ['critical', 'high', 'medium', 'low', 'negligible', 'unknown'] as const
export type Severity = (typeof severities)[number]

/** A severity that can be a limit. */
export const limitSeverities = severities.filter(severity => severity !== 'unknown')

/** VEX: what somebody who knows the product says about a vulnerability in it. */
export const vexStatuses = ['not_affected', 'fixed', 'affected', 'under_investigation'] as const
export type VexStatus = (typeof vexStatuses)[number]

const vexSchema = z.strictObject({
  status: z.enum(vexStatuses),
  /** `vulnerable_code_not_in_execute_path`, or text */
  justification: z.string().optional(),
  /** name of the file that says so */
  file: z.string(),
})

const findingSchema = z.strictObject({
  /** `CVE-2024-1234` */
  id: z.string(),
  /** other names of it */
  aliases: z.array(z.string()),
  severity: z.enum(severities),
  /** the target that it is in: an image, `debs/ubuntu-22.04` */
  target: z.string(),
  platform: z.string().optional(),
  package: z.string(),
  version: z.string(),
  purl: z.string().optional(),
  /** versions without it, as far as the database knows */
  fixedIn: z.array(z.string()),
  url: z.string().optional(),
  vex: vexSchema.optional(),
})
export type Finding = z.infer<typeof findingSchema>

/** What a scanner was given: packages of one image for one platform, or of one package set. */
const targetSchema = z.strictObject({
  name: z.string(),
  platform: z.string().optional(),
  packages: z.number().int(),
  /** layers and files of it that could not be read: what is in them was not scanned */
  notRead: z.number().int(),
})
export type ScanTarget = z.infer<typeof targetSchema>

/** The result of `scan`, which the report reads again (`inspect BUNDLE report --scan FILE`). */
export const scanResultSchema = z.strictObject({
  scanVersion: z.literal(1),
  bundle: z.strictObject({ name: z.string(), version: z.string(), digest: z.string() }),
  /** RFC 3339 */
  scannedAt: z.string(),
  scanner: z.strictObject({ name: z.string(), version: z.string() }),
  /** when the database was made, as the scanner says; absent: it does not say */
  database: z.strictObject({ built: z.string().optional() }),
  vex: z.array(z.string()),
  targets: z.array(targetSchema),
  findings: z.array(findingSchema),
})
export type ScanResult = z.infer<typeof scanResultSchema>

/** Whether a finding counts: what VEX says is not affected, or fixed, does not. */
export function counts({ vex }: Finding): boolean {
  return vex === undefined || (vex.status !== 'not_affected' && vex.status !== 'fixed')
}

/** How many findings of each severity count. */
export function countBySeverity(findings: readonly Finding[]): Record<Severity, number> {
  const numbers = Object.fromEntries(severities.map(severity => [severity, 0])) as Record<Severity, number>
  for (const finding of findings) if (counts(finding)) numbers[finding.severity]++
  return numbers
}

/** The findings that count and are at least as grave as the limit. */
export function reaching(findings: readonly Finding[], limit: Severity): Finding[] {
  const least = severities.indexOf(limit)
  return findings.filter(finding => counts(finding) && severities.indexOf(finding.severity) <= least)
}
