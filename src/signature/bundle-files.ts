import { readGuarded } from '../core/guarded-file.ts'
import { instructionsPath, readSignedFiles, signatureFormats, signaturePath, statementPath } from './files.ts'
import { provenancePath, readProvenance } from './provenance-file.ts'
import { checkStated, parseStatement, type StatedContent } from './statement.ts'

/** A file next to a bundle. */
export interface BundleFile {
  /** what follows the name of the bundle: `.sums.minisig` */
  suffix: string
  bytes: Buffer
}

/** Largest file next to a bundle: a provenance. */
export const maxBundleFile = 64 << 20 /* bytes */
const maxInstructions = 64 * 1024 /* bytes */

/** Files that a bundle may have next to it. */
export const bundleSuffixes = {
  statement: statementPath(''),
  provenance: provenancePath(''),
  instructions: instructionsPath(''),
} as const

/** Whether a text is the suffix of such a file: a name from elsewhere must not become any other path (CWE-22). */
export function isBundleSuffix(text: string): boolean {
  const named = text.replace(/^(\.sums)\.[0-9a-f]{8}(?=\.)/, '$1')
  const signatures = signatureFormats.map(format => signaturePath(bundleSuffixes.statement, { format }))
  return [...Object.values(bundleSuffixes), ...signatures].includes(named)
}

/**
 * Reads the statement, the signatures, the provenance and the instructions next to a bundle, sorted by suffix. Signatures are not verified, which
 * needs keys. Throws SIGNATURE_INVALID for files of another bundle.
 */
export async function readBundleFiles(bundle: string, content: StatedContent): Promise<BundleFile[]> {
  const files: BundleFile[] = []
  const signed = await readSignedFiles(bundle)
  if (signed !== undefined) {
    checkStated(parseStatement(signed.statement, signed.path), { content, item: signed.path })
    files.push({ suffix: bundleSuffixes.statement, bytes: signed.statement })
    for (const { path, bytes } of signed.signatures)
      files.push({ suffix: `${bundleSuffixes.statement}${path.slice(signed.path.length)}`, bytes })
  }
  // the files of a bundle that is a link are next to its target
  const base = signed === undefined ? bundle : signed.path.slice(0, -bundleSuffixes.statement.length)
  if ((await readProvenance(base, content.index)) !== undefined)
    files.push(...(await readOthers(base, { suffix: bundleSuffixes.provenance, limit: maxBundleFile })))
  files.push(...(await readOthers(base, { suffix: bundleSuffixes.instructions, limit: maxInstructions })))
  return files.sort((a, b) => (a.suffix < b.suffix ? -1 : 1))
}

async function readOthers(
  base: string,
  { suffix, limit }: { suffix: string; limit: number },
): Promise<BundleFile[]> {
  const file = await readGuarded(`${base}${suffix}`, limit)
  return file === undefined ? [] : [{ suffix, bytes: file.bytes }]
}
