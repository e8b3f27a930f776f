import { signedContent } from '../bundle/signed-content.ts'
import { AirgapError } from '../core/errors.ts'
import { readSignedFiles } from '../signature/files.ts'
import type { PublicKey } from '../signature/public-key.ts'
import { isStatementOf, parseStatement, type StatedContent, type Statement } from '../signature/statement.ts'
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
  refuseOtherContent(statement, { content: signedContent(store), path, sums: files.path })
  return { statement, signers: signersOf(report), ...unknownOf(report) }
}

function unknownOf({ unknown }: SignatureReport): Pick<SignedBundle, 'strangers' | 'hints'> {
  const strangers = unknown.flatMap(({ key }) => (key === undefined ? [] : [key]))
  return {
    strangers: [...new Map(strangers.map(key => [key.fingerprint, key])).values()],
    hints: unknown.flatMap(({ hint }) => (hint === undefined ? [] : [hint])),
  }
}

/** A signature of another bundle is good, too, and a program that the statement does not list was not checked before it ran. */
function refuseOtherContent(
  statement: Statement,
  { content, path, sums }: { content: StatedContent; path: string; sums: string },
): void {
  if (isStatementOf(statement, content)) return
  const { name, version, index, files } = statement
  if (name !== content.name || version !== content.version)
    throw new AirgapError(
      'SIGNATURE_INVALID',
      `the signature is of another bundle: ${name} ${version}, not ${content.name} ${content.version}`,
      { item: `${path}: ${sums}`, likely: 'the files of two deliveries were mixed', next: copyAgain },
    )
  if (index !== content.index)
    throw new AirgapError(
      'SIGNATURE_INVALID',
      `the bundle has digest ${content.index}; ${index} was signed`,
      {
        item: `${path}: ${sums}`,
        likely: 'the bundle was changed, or built again, after it was signed',
        next: copyAgain,
      },
    )
  const lines = (list: Statement['files']) => list.map(file => `${file.sha256}  ${file.path}`)
  const [signed, carried] = [lines(files), lines(content.files)]
  const other =
    carried.find(line => !signed.includes(line)) ?? signed.find(line => !carried.includes(line)) ?? ''
  throw new AirgapError('SIGNATURE_INVALID', 'a program in the bundle is not the one that was signed', {
    item: `${path}: ${other.slice(other.indexOf(' ') + 2)}`,
    likely: `${sums} lists other programs, or other contents`,
    next: `do not run anything of this bundle; ${copyAgain}`,
  })
}

const copyAgain =
  'copy the bundle again, with all files whose names start with its own name, from the host that signed it'
