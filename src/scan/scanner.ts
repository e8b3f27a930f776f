import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { AirgapError } from '../core/errors.ts'
import { printableLine } from '../core/printable.ts'
import { runProgram } from '../discover/program.ts'
import type { Severity } from './finding.ts'

/** A scanner's answer about one document, without the target, which it does not know. */
export interface Match {
  id: string
  aliases: string[]
  severity: Severity
  package: string
  version: string
  purl?: string
  fixedIn: string[]
  url?: string
}

export interface ScannerAnswer {
  version?: string
  /** when the database was made */
  built?: string
  matches: Match[]
}

/** A program that compares a bill of materials with a database of vulnerabilities. */
export interface Scanner {
  name: 'grype' | 'trivy'
  /** `files` are absolute paths: a CycloneDX document, and where to write the answer as JSON */
  command(files: { sbom: string; answer: string; config: string }): string[]
  /** Switches every download off: a site has no network, and a result has to be of the database that was given. */
  environment(database: string | undefined): Record<string, string>
  read(answer: unknown): ScannerAnswer
  /** how a person gets the database to this machine */
  howToGetDatabase: string
}

const maxAnswer = 512 << 20 /* bytes */

/**
 * Has a scanner compare one document. `folder` is empty and the scanner's own: it finds no configuration of anyone's there. Throws
 * TOOL_MISSING, and PREFLIGHT where the scanner fails: nearly always because it has no database.
 */
export async function runScanner(
  scanner: Scanner,
  options: {
    program: string
    database: string | undefined
    sbom: object
    folder: string
    signal: AbortSignal
  },
): Promise<ScannerAnswer> {
  const { program, database, sbom, folder, signal } = options
  const files = {
    sbom: join(folder, 'sbom.json'),
    answer: join(folder, 'answer.json'),
    config: join(folder, 'config.yaml'),
  }
  await writeFile(files.sbom, JSON.stringify(sbom))
  await writeFile(files.config, '{}\n')
  const { status, stderr } = await runProgram({
    program,
    args: scanner.command(files),
    cwd: folder,
    env: scanner.environment(database),
    howToGet: `put ${scanner.name} on PATH, or pass its path with --scanner`,
    signal,
  })
  if (status !== 0) throw failed(scanner, { program, status, stderr })
  const size = (await stat(files.answer).catch(() => undefined))?.size
  if (size === undefined || size > maxAnswer)
    throw failed(scanner, { program, status, stderr: 'no answer, or too large a one' })
  try {
    return scanner.read(JSON.parse(await readFile(files.answer, 'utf8')))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw failed(scanner, { program, status, stderr: 'its answer is not JSON' })
  }
}

function failed(
  { name, howToGetDatabase }: Scanner,
  { program, status, stderr }: { program: string; status: number | null; stderr: string },
): AirgapError {
  const lines = stderr
    .trim()
    .split('\n')
    .filter(line => line.trim() !== '')
  return new AirgapError(
    'PREFLIGHT',
    `${name} failed (exit ${status}): ${printableLine(lines.at(-1) ?? 'it says nothing', 400)}`,
    {
      item: program,
      likely: 'it has no database here, or one of another version of it',
      next: howToGetDatabase,
    },
  )
}

/** What a scanner's JSON must look like. */
export function understood<T>(schema: z.ZodType<T>, value: unknown, name: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new AirgapError('UNSUPPORTED', `the answer of ${name} is in another form than expected`, {
    item: `${issue?.path.join('.')}: ${issue?.message}`,
    likely: `it is a version of ${name} that this program does not know`,
    next: `use a version of ${name} from the years 2023 to 2026`,
  })
}
