import { type Command, Option } from 'commander'
import type { Digest } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import type { ImageCarrier } from '../../layers/image-layers.ts'
import type { Lock } from '../../lock/schema.ts'
import { limitSeverities, reaching, type ScanResult, type Severity } from '../../scan/finding.ts'
import { scanBundle } from '../../scan/scan.ts'
import { repeated } from './arguments.ts'
import { findProgram } from './installation.ts'
import { readLayers } from './read-layers.ts'
import type { Shell } from './run.ts'

/** `scan` of both programs. */

export interface ScanFlags {
  scanner?: string
  db?: string
  vex: string[]
  failOn?: Severity
}

/** Adds the options of `scan`. */
export function scanOptions(command: Command): Command {
  return command
    .option('--scanner <program>', 'the grype or trivy to run (default: the one on PATH)')
    .option('--db <folder>', "the scanner's database (default: where the scanner itself keeps it)")
    .option('--vex <file>', 'statements on vulnerabilities: OpenVEX or CycloneDX (repeatable)', repeated, [])
    .addOption(
      new Option('--fail-on <severity>', 'exit 3 for a finding of this severity or a graver one').choices(
        limitSeverities,
      ),
    )
}

/** Scans an open bundle. Throws what `scanBundle` throws. */
export async function scanOpen(
  { lock, store }: { lock: Lock; store: ImageCarrier & { readonly indexDigest: Digest } },
  { flags, shell }: { flags: ScanFlags; shell: Shell },
): Promise<ScanResult> {
  const images = await readLayers(store, shell)
  return await scanBundle(
    { lock, digest: store.indexDigest, images },
    {
      scanner: flags.scanner,
      database: flags.db,
      vex: flags.vex,
      findProgram,
      progress: shell.progress(),
      signal: shell.signal,
      now: () => new Date(),
    },
  )
}

/** The error for findings beyond the limit; undefined where there are none. */
export function overLimit(
  results: readonly ScanResult[],
  limit: Severity | undefined,
): AirgapError | undefined {
  if (limit === undefined) return undefined
  const found = results.flatMap(({ findings }) => reaching(findings, limit))
  if (found.length === 0) return undefined
  const ids = [...new Set(found.map(({ id }) => id))]
  return new AirgapError('DIFFERENT', `${found.length} findings are of severity ${limit} or graver`, {
    item: ids.slice(0, 10).join(', '),
    next: 'take newer versions into the manifest, or pass a VEX document that says why they do not matter here (--vex)',
  })
}
