import type { Command } from 'commander'
import { withBundles } from '../../deploy/inspect.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import type { ScanResult } from '../../scan/finding.ts'
import { addExamples } from '../shell/examples.ts'
import type { StyledLine } from '../shell/output.ts'
import type { Shell } from '../shell/run.ts'
import { overLimit, type ScanFlags, scanOpen, scanOptions } from '../shell/scan.ts'
import { scanText } from '../shell/scan-text.ts'
import { bundleOptions } from './options.ts'

export function scanCommand(program: Command, shell: Shell): void {
  addExamples(bundleOptions(scanOptions(program.command('scan'))), [
    ['offline-deploy scan --db /media/grype-db --fail-on critical'],
  ])
    .description(
      'Scan all packages of the bundle, those inside images included, with grype or trivy; never downloads a database',
    )
    .action(async ({ scanner, db, vex, failOn, ...options }: SiteOptions & ScanFlags) => {
      const flags = { scanner, db, vex, failOn } as ScanFlags
      const results = await withBundles({ ...options, now: new Date() }, async bundles => {
        const found: ScanResult[] = []
        for (const bundle of bundles) found.push(await scanOpen(bundle, { flags, shell }))
        return found
      })
      shell.print(results.length === 1 ? results[0] : results, () =>
        results.flatMap((result, i): StyledLine[] => [...(i > 0 ? [{ text: '' }] : []), ...scanText(result)]),
      )
      const error = overLimit(results, failOn)
      if (error !== undefined) throw error
    })
}
