import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { BundleStore } from '../../bundle/reader.ts'
import { signedContent } from '../../bundle/signed-content.ts'
import { writeAtomically } from '../../core/atomic-file.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError, fromSystemError } from '../../core/errors.ts'
import { toolVersion } from '../../core/tool-version.ts'
import { differenceOf } from '../../kinds/lock-changes.ts'
import type { Lock } from '../../lock/schema.ts'
import { type ScanResult, scanResultSchema } from '../../scan/finding.ts'
import { readSignedFiles } from '../../signature/files.ts'
import { readPublicKeys } from '../../signature/open-signer.ts'
import { checkProvenance } from '../../signature/provenance-file.ts'
import { checkStated, parseStatement, printTime } from '../../signature/statement.ts'
import { verifySignatures } from '../../signature/verify.ts'
import { readLayers } from '../shell/read-layers.ts'
import type { Shell } from '../shell/run.ts'
import type { ReportData } from './data.ts'
import { reportPage } from './page.ts'

export interface ReportOptions {
  /** where to write; default: next to the bundle, `stack-1.0.0.report.html` */
  out: string | undefined
  previous: Lock | undefined
  /** result of `scan -o json` */
  scan: string | undefined
  /** files of public keys */
  publicKey: readonly string[]
  /** whether the layers of images are read */
  layers: boolean
  shell: Shell
}

/**
 * Writes the report on a bundle and returns its path. Throws SIGNATURE_INVALID for signatures that are wrong, VALUES_INVALID for results of
 * a scan that are none, and what the store throws.
 */
export async function writeReport(
  { path, lock, store }: { path: string; lock: Lock; store: BundleStore },
  { out = defaultOut(path), previous, scan, publicKey, layers, shell }: ReportOptions,
): Promise<{ report: string; bytes: number }> {
  const made = new Date()
  const page = reportPage(
    defined({
      file: basename(path),
      digest: store.indexDigest,
      size: store.size,
      lock,
      signed: await signedOf({ path, store, made }, publicKey),
      images: layers ? await readLayers(store, shell) : undefined,
      previous: previous && {
        name: previous.name,
        version: previous.version,
        difference: differenceOf(previous, lock),
      },
      scan: scan === undefined ? undefined : await scanResult(scan),
      made,
      toolVersion,
    }),
  )
  try {
    await writeAtomically(out, page)
  } catch (error) {
    throw fromSystemError(error, out)
  }
  return { report: out, bytes: Buffer.byteLength(page) }
}

/** `stack-1.0.0.tar` → `stack-1.0.0.report.html` */
function defaultOut(path: string): string {
  return `${path.replace(/\.tar$/, '')}.report.html`
}

async function signedOf(
  { path, store, made }: { path: string; store: BundleStore; made: Date },
  publicKey: readonly string[],
): Promise<ReportData['signed']> {
  const files = await readSignedFiles(path)
  if (files === undefined) return undefined
  const keys = (await Promise.all(publicKey.map(readPublicKeys))).flat()
  const report = verifySignatures(files.statement, { signatures: files.signatures, keys })
  const statement = parseStatement(files.statement, files.path)
  checkStated(statement, { content: signedContent(store), item: files.path })
  const provenance =
    keys.length === 0 ? undefined : await checkProvenance(path, { index: store.indexDigest, keys })
  return defined({
    statement,
    report,
    keys,
    isExpired: statement.expires !== undefined && printTime(made) >= statement.expires,
    provenance: provenance?.length,
  })
}

const maxScan = 512 << 20 /* bytes */

async function scanResult(path: string): Promise<ScanResult> {
  const invalid = (what: string) =>
    new AirgapError('VALUES_INVALID', `these are not the results of a scan: ${what}`, {
      item: path,
      next: 'write them with `airgap scan BUNDLE -o json > FILE`',
    })
  let value: unknown
  try {
    if ((await stat(path)).size > maxScan) throw invalid('the file is larger than 512 MiB')
    value = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw error instanceof SyntaxError ? invalid('the file is not JSON') : fromSystemError(error, path)
  }
  const parsed = scanResultSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw invalid(`${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`)
}
