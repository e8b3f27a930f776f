import type { Command } from 'commander'
import { openBundle } from '../../bundle/reader.ts'
import { carriedLock } from '../../lock/carried-lock.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { overLimit, type ScanFlags, scanOpen, scanOptions } from '../shell/scan.ts'
import { scanText } from '../shell/scan-text.ts'

export function scanCommand(program: Command, shell: Shell): void {
  addExamples(scanOptions(program.command('scan')), [
    ['airgap scan stack-1.0.0.tar --db grype-db --fail-on high'],
    ['airgap scan stack-1.0.0.tar --vex vendor.openvex.json -o json > scan.json', 'for the report'],
  ])
    .description(
      'Scan all packages of the bundle, those inside images included, with grype or trivy; never downloads a database',
    )
    .argument('<bundle>', 'the .tar that `airgap build` wrote')
    .action(async (path: string, flags: ScanFlags) => {
      const store = await openBundle(path)
      try {
        const result = await scanOpen({ lock: await carriedLock(store, path), store }, { flags, shell })
        shell.print(result, () => scanText(result))
        const error = overLimit([result], flags.failOn)
        if (error !== undefined) throw error
      } finally {
        await store.close()
      }
    })
}
