import { z } from 'zod'
import { defined } from '../core/defined.ts'
import { cleanText } from '../layers/package.ts'
import { type Severity, severities } from './finding.ts'
import { type Scanner, type ScannerAnswer, understood } from './scanner.ts'

/** Grype (github.com/anchore/grype): the JSON of its presenter, grype/presenter/models. */

const answerSchema = z.object({
  matches: z.array(
    z.object({
      vulnerability: z.object({
        id: z.string(),
        severity: z.string().nullish(),
        dataSource: z.string().nullish(),
        fix: z.object({ versions: z.array(z.string()).nullish() }).nullish(),
      }),
      relatedVulnerabilities: z.array(z.object({ id: z.string() })).nullish(),
      artifact: z.object({ name: z.string(), version: z.string(), purl: z.string().nullish() }),
    }),
  ),
  descriptor: z.object({
    version: z.string().nullish(),
    // version 5 of the database has `built` here, version 6 in `status`
    db: z
      .object({
        built: z.string().nullish(),
        status: z.object({ built: z.string().nullish() }).nullish(),
      })
      .nullish(),
  }),
})

export const grype: Scanner = {
  name: 'grype',
  // not --quiet: a grype that is quiet fails without a word
  command: ({ sbom, answer, config }) => [
    `sbom:${sbom}`,
    '--output',
    'json',
    '--file',
    answer,
    '--config',
    config,
  ],
  environment: database =>
    defined({
      GRYPE_DB_CACHE_DIR: database,
      GRYPE_DB_AUTO_UPDATE: 'false',
      GRYPE_DB_REQUIRE_UPDATE_CHECK: 'false',
      // at a site, a database is older than the five days that grype allows; the result says how old it is
      GRYPE_DB_VALIDATE_AGE: 'false',
      GRYPE_CHECK_FOR_APP_UPDATE: 'false',
    }),
  read(value): ScannerAnswer {
    const { matches, descriptor } = understood(answerSchema, value, 'grype')
    return defined({
      version: cleanText(descriptor.version),
      built: cleanText(descriptor.db?.status?.built ?? descriptor.db?.built),
      matches: matches.map(({ vulnerability, relatedVulnerabilities, artifact }) =>
        defined({
          id: cleanText(vulnerability.id) ?? 'unnamed',
          aliases: [
            ...new Set((relatedVulnerabilities ?? []).flatMap(({ id }) => cleanText(id) ?? [])),
          ].filter(id => id !== vulnerability.id),
          severity: severityOf(vulnerability.severity),
          package: cleanText(artifact.name) ?? 'unnamed',
          version: cleanText(artifact.version) ?? '',
          purl: cleanText(artifact.purl),
          fixedIn: (vulnerability.fix?.versions ?? []).flatMap(version => cleanText(version) ?? []),
          url: cleanText(vulnerability.dataSource),
        }),
      ),
    })
  },
  howToGetDatabase:
    'on a connected host, run `grype db update` with GRYPE_DB_CACHE_DIR=FOLDER; copy FOLDER here and pass it with --db',
}

/** Both scanners write the same words, in upper or lower case. */
export function severityOf(text: string | null | undefined): Severity {
  const lower = text?.toLowerCase()
  return severities.find(severity => severity === lower) ?? 'unknown'
}
