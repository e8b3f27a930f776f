import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'
import type { ImageContent } from '../layers/installed.ts'
import type { Lock } from '../lock/schema.ts'
import { type Finding, type ScanResult, severities } from './finding.ts'
import { grype } from './grype.ts'
import { runScanner, type Scanner } from './scanner.ts'
import { imagePurls, scanDocuments } from './targets.ts'
import { trivy } from './trivy.ts'
import { applyVex, readVex } from './vex.ts'

const scanners: readonly Scanner[] = [grype, trivy]

export interface ScanOptions {
  /** a path, or a name; absent: the first scanner that `findProgram` finds */
  scanner?: string | undefined
  /** Returns the path of a program. */
  findProgram(name: string): Promise<string | undefined>
  /** folder with the scanner's database; absent: its own */
  database?: string | undefined
  vex: readonly string[]
  progress: Progress
  signal: AbortSignal
  now: () => Date
}

/**
 * Compares all packages of a bundle with a scanner's database: those inside images, and those that the bundle carries. Nothing is
 * downloaded. Throws TOOL_MISSING where there is no scanner, PREFLIGHT where it has no database, and what `readVex` throws.
 */
export async function scanBundle(
  { lock, digest, images }: { lock: Lock; digest: Digest; images: readonly ImageContent[] },
  options: ScanOptions,
): Promise<ScanResult> {
  const { database, vex, progress, signal, now } = options
  const statements = await readVex(vex)
  const { scanner, program } = await findScanner(options)
  const documents = scanDocuments(lock, images)
  const findings: Finding[] = []
  const about: { version?: string; built?: string } = {}
  progress.phase('Scanning')
  progress.total(documents.length, 0)
  for (const { sbom, ...target } of documents) {
    const { name, platform } = target
    const finished = progress.running(name)
    const folder = await mkdtemp(join(tmpdir(), 'airgap-scan-'))
    try {
      const answer = await runScanner(scanner, { program, database, sbom, folder, signal })
      Object.assign(about, defined({ version: answer.version, built: answer.built }))
      for (const match of answer.matches) findings.push(defined({ ...match, target: name, platform }))
    } finally {
      finished()
      await rm(folder, { recursive: true, force: true })
    }
    progress.done(name, 0)
  }
  return {
    scanVersion: 1,
    bundle: { name: lock.name, version: lock.version, digest },
    scannedAt: now().toISOString(),
    scanner: { name: scanner.name, version: about.version ?? 'unknown' },
    database: defined({ built: about.built }),
    vex: vex.map(path => basename(path)),
    targets: documents.map(({ sbom: _, ...target }) => target),
    findings: applyVex(sorted(findings), { statements, imagePurls: imagePurls(lock) }),
  }
}

/** The gravest first; the same finding once, whatever number of files of a target it is in. */
function sorted(findings: readonly Finding[]): Finding[] {
  const keyed = new Map(
    findings.map(one => [
      [one.id, one.target, one.platform, one.package, one.version, one.purl].join('\0'),
      one,
    ]),
  )
  return [...keyed]
    .sort(
      ([a, one], [b, other]) =>
        severities.indexOf(one.severity) - severities.indexOf(other.severity) || (a < b ? -1 : 1),
    )
    .map(([, one]) => one)
}

async function findScanner({
  scanner: named,
  findProgram,
}: ScanOptions): Promise<{ scanner: Scanner; program: string }> {
  if (named !== undefined) {
    const scanner = scanners.find(({ name }) => basename(named).toLowerCase().includes(name))
    if (scanner !== undefined) return { scanner, program: named }
    throw new AirgapError('USAGE', 'the scanner is not one that this program knows', {
      item: named,
      next: 'pass grype or trivy, or a path that ends in one of these names',
    })
  }
  for (const scanner of scanners) {
    const program = await findProgram(scanner.name)
    if (program !== undefined) return { scanner, program }
  }
  throw new AirgapError('TOOL_MISSING', 'no vulnerability scanner is installed', {
    item: scanners.map(({ name }) => name).join(', '),
    likely: 'neither is on PATH; this program has no scanner and no database of its own',
    next: 'install grype or trivy, or pass its path with --scanner; a bill of materials for a scanner elsewhere: `inspect BUNDLE sbom --layers`',
  })
}
