import { signedContent } from '../bundle/signed-content.ts'
import { readSignedFiles } from '../signature/files.ts'
import type { PublicKey } from '../signature/public-key.ts'
import { checkStated, parseStatement, type Statement } from '../signature/statement.ts'
import { type SignatureReport, signersOf, verifySignatures } from '../signature/verify.ts'

/** What the statement next to a bundle says, and who signed it; whether the site trusts these keys is decided elsewhere. */
export interface SignedBundle {
  statement: Statement
  /** keys of the site that signed it */
  signers: PublicKey[]
  /** keys that signed it as well, known from the signature itself */
  strangers: PublicKey[]
  /** what other signatures say about their keys, which is not verified */
  hints: string[]
}

/**
 * Reads the statement and the signatures next to a bundle and compares the statement with the bundle; undefined where there is
 * no statement.
 * Throws SIGNATURE_INVALID.
 */
export async function readSigned(
  path: string,
  { store, keys }: { store: Parameters<typeof signedContent>[0]; keys: readonly PublicKey[] },
): Promise<SignedBundle | undefined> {
  const files = await readSignedFiles(path)
  if (files === undefined) return undefined
  // before anything in the statement is used
  const report = verifySignatures(files.statement, { signatures: files.signatures, keys })
  const statement = parseStatement(files.statement, files.path)
  checkStated(statement, { content: signedContent(store), item: files.path })
  return { statement, signers: signersOf(report), ...unknownOf(report) }
}

function unknownOf({ unknown }: SignatureReport): Pick<SignedBundle, 'strangers' | 'hints'> {
  const strangers = unknown.flatMap(({ key }) => (key === undefined ? [] : [key]))
  return {
    strangers: [...new Map(strangers.map(key => [key.fingerprint, key])).values()],
    hints: unknown.flatMap(({ hint }) => (hint === undefined ? [] : [hint])),
  }
}
