import { type Digest, hexOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { readSignedFiles, type SignedFiles } from '../signature/files.ts'
import type { PublicKey } from '../signature/public-key.ts'
import { parseStatement, type Statement } from '../signature/statement.ts'
import { type SignatureReport, signersOf, verifySignatures } from '../signature/verify.ts'

/** What an open bundle says of itself: a store of `open-bundles.ts`. */
export interface StatedContent {
  readonly info: { name: string; version: string }
  readonly indexDigest: Digest
  entries(): readonly { path: string; type: string; digest?: Digest }[]
}

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
  { store, keys }: { store: StatedContent; keys: readonly PublicKey[] },
): Promise<SignedBundle | undefined> {
  const files = await readSignedFiles(path)
  if (files === undefined) return undefined
  // before anything in the statement is used
  const report = verifySignatures(files.statement, { signatures: files.signatures, keys })
  const statement = parseStatement(files.statement, files.path)
  refuseOtherBundle(statement, { store, path, files })
  refuseOtherPrograms(statement, { store, path, files })
  return { statement, signers: signersOf(report), ...unknownOf(report) }
}

function unknownOf({ unknown }: SignatureReport): Pick<SignedBundle, 'strangers' | 'hints'> {
  const strangers = unknown.flatMap(({ key }) => (key === undefined ? [] : [key]))
  return {
    strangers: [...new Map(strangers.map(key => [key.fingerprint, key])).values()],
    hints: unknown.flatMap(({ hint }) => (hint === undefined ? [] : [hint])),
  }
}

interface Compared {
  store: StatedContent
  path: string
  files: SignedFiles
}

/** A signature of another bundle is good, too. */
function refuseOtherBundle({ name, version, index }: Statement, { store, path, files }: Compared): void {
  const { info, indexDigest } = store
  const sameNames = name === info.name && version === info.version
  if (index === indexDigest && sameNames) return
  throw new AirgapError(
    'SIGNATURE_INVALID',
    sameNames
      ? `the bundle has digest ${indexDigest}; ${index} was signed`
      : `the signature is of another bundle: ${name} ${version}, not ${info.name} ${info.version}`,
    {
      item: `${path}: ${files.path}`,
      likely: sameNames
        ? 'the bundle was changed, or built again, after it was signed'
        : 'the files of two deliveries were mixed',
      next: 'do not use this bundle; copy it again, with all files whose names start with its own name, from the host that signed it',
    },
  )
}

/** Both ways: a program that the statement does not list was not checked with `sha256sum -c` before it ran. */
function refuseOtherPrograms({ files: listed }: Statement, { store, path, files }: Compared): void {
  const carried = new Map<string, Digest | undefined>()
  for (const entry of store.entries())
    if (entry.path.startsWith('offline-deploy/') && entry.type === 'file')
      carried.set(entry.path, entry.digest)
  const signed = new Map(listed.slice(1).map(({ path: name, sha256 }) => [name, sha256]))
  const other = [...new Set([...carried.keys(), ...signed.keys()])].find(name => {
    const digest = carried.get(name)
    return digest === undefined || hexOf(digest) !== signed.get(name)
  })
  if (other === undefined) return
  throw new AirgapError('SIGNATURE_INVALID', 'a program in the bundle is not the one that was signed', {
    item: `${path}: ${other}`,
    likely: `${files.path} lists ${signed.has(other) ? 'another content' : 'no such file'}`,
    next: 'do not run anything of this bundle; copy it again from the host that signed it',
  })
}
