import { z } from 'zod'
import { defined } from '../core/defined.ts'
import { cleanText } from '../layers/package.ts'
import { severityOf } from './grype.ts'
import { type Scanner, type ScannerAnswer, understood } from './scanner.ts'

/** Trivy (github.com/aquasecurity/trivy): the JSON of `trivy sbom --format json`, pkg/types/report.go. */

const answerSchema = z.object({
  Trivy: z.object({ Version: z.string().nullish() }).nullish(),
  Results: z
    .array(
      z.object({
        Vulnerabilities: z
          .array(
            z.object({
              VulnerabilityID: z.string(),
              VendorIDs: z.array(z.string()).nullish(),
              PkgName: z.string(),
              InstalledVersion: z.string().nullish(),
              FixedVersion: z.string().nullish(),
              Severity: z.string().nullish(),
              PrimaryURL: z.string().nullish(),
              PkgIdentifier: z.object({ PURL: z.string().nullish() }).nullish(),
            }),
          )
          .nullish(),
      }),
    )
    .nullish(),
})

export const trivy: Scanner = {
  name: 'trivy',
  command: ({ sbom, answer, config }) => [
    'sbom',
    '--config',
    config,
    '--format',
    'json',
    '--output',
    answer,
    '--quiet',
    sbom,
  ],
  // by variables and not by flags: versions that do not know one of them ignore it
  environment: database =>
    defined({
      TRIVY_CACHE_DIR: database,
      TRIVY_SKIP_DB_UPDATE: 'true',
      TRIVY_SKIP_JAVA_DB_UPDATE: 'true',
      TRIVY_SKIP_CHECK_UPDATE: 'true',
      TRIVY_SKIP_VEX_REPO_UPDATE: 'true',
      TRIVY_SKIP_VERSION_CHECK: 'true',
      TRIVY_DISABLE_TELEMETRY: 'true',
      TRIVY_OFFLINE_SCAN: 'true',
      TRIVY_SCANNERS: 'vuln',
    }),
  read(value): ScannerAnswer {
    const { Trivy, Results } = understood(answerSchema, value, 'trivy')
    const found = (Results ?? []).flatMap(({ Vulnerabilities }) => Vulnerabilities ?? [])
    return defined({
      version: cleanText(Trivy?.Version),
      matches: found.map(one =>
        defined({
          id: cleanText(one.VulnerabilityID) ?? 'unnamed',
          aliases: (one.VendorIDs ?? []).flatMap(id => cleanText(id) ?? []),
          severity: severityOf(one.Severity),
          package: cleanText(one.PkgName) ?? 'unnamed',
          version: cleanText(one.InstalledVersion) ?? '',
          purl: cleanText(one.PkgIdentifier?.PURL),
          fixedIn: (one.FixedVersion ?? '').split(',').flatMap(version => cleanText(version) ?? []),
          url: cleanText(one.PrimaryURL),
        }),
      ),
    })
  },
  howToGetDatabase:
    'on a connected host, run `trivy image` with TRIVY_DOWNLOAD_DB_ONLY=true and TRIVY_CACHE_DIR=FOLDER; copy FOLDER here and pass it with --db',
}
