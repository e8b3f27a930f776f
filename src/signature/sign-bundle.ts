import { readFile, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { defined } from '../core/defined.ts'
import { digestOf } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import {
  instructionsPath,
  readSignedFiles,
  type SignatureFormat,
  type SignedFiles,
  statementPath,
} from './files.ts'
import { instructions } from './instructions.ts'
import { type ProvenanceStatement, provenancePath, writeProvenance } from './provenance-file.ts'
import type { PublicKey } from './public-key.ts'
import { planSignatures, type WrittenSignature, writeSignatures } from './sign.ts'
import type { Signer } from './signer.ts'
import { parseSshSignature } from './ssh-signature.ts'
import {
  checkStated,
  isStatementOf,
  parseStatement,
  printStatement,
  printTime,
  type StatedContent,
  type Statement,
} from './statement.ts'
import { verifySignatures } from './verify.ts'

export interface SigningOptions {
  /** what the bundle contains, from the bundle itself */
  content: StatedContent
  signers: readonly Signer[]
  formats: readonly SignatureFormat[]
  now: Date
  /** a time of the statement; undefined: that of the statement that is there, or none */
  expires: string | undefined
  /** what to do with a statement of another bundle, and its signatures */
  stale: 'refuse' | 'replace'
  /** of a build that was just made; undefined: signs the one that is there */
  provenance?: ProvenanceStatement
}

export interface SignedBundle {
  /** path of `B.sums` */
  sums: string
  statement: Statement
  /** of `B.sums`: to compare where no signature can be verified */
  sumsDigest: string
  signatures: WrittenSignature[]
  /** path of `B.provenance.json`, if it was written */
  provenance: string | undefined
  /** path of `B.verify.txt`, and its text */
  instructions: { path: string; text: string }
}

/**
 * Writes what a bundle needs to be checked on site: the statement, its signatures by every signer, and what to type. A statement of the same
 * bundle stays as it is, so that signatures of others stay good. Nothing inside the bundle changes. Throws SIGNATURE_INVALID for wrong
 * files next to the bundle, USAGE for another expiry than the one that others signed.
 */
export async function signBundle(bundle: string, options: SigningOptions): Promise<SignedBundle> {
  const { text, isNew, stale } = await statementFor(bundle, options)
  const sums = statementPath(bundle)
  if (isNew) {
    // first those that the new statement would make wrong: a run that stops here leaves an unsigned bundle
    for (const { path } of stale) await rm(path, { force: true })
    if (options.stale === 'replace') await rm(provenancePath(bundle), { force: true })
    await writeAtomically(sums, text)
  }
  const bytes = Buffer.from(text)
  const { signers, formats } = options
  const signatures = await writeSignatures(bundle, { statement: bytes, signers, formats })
  const { content, provenance: made } = options
  const provenance = await writeProvenance(bundle, {
    index: content.index,
    signers,
    ...defined({ statement: made }),
  })
  const shown = await writeInstructions(
    bundle,
    signers.map(({ key }) => key),
  )
  return {
    sums,
    statement: parseStatement(bytes, sums),
    sumsDigest: digestOf(bytes),
    signatures,
    provenance,
    instructions: shown,
  }
}

/** What `signBundle` would do. */
export async function planSigning(
  bundle: string,
  options: Omit<SigningOptions, 'signers'> & { signers: readonly Pick<Signer, 'key'>[] },
): Promise<{ sums: string; statement: Statement; isNew: boolean; signatures: WrittenSignature[] }> {
  const { text, isNew } = await statementFor(bundle, options)
  const planned = await planSignatures(bundle, options)
  const signatures = planned.map(({ signer, ...file }) => file)
  const sums = statementPath(bundle)
  return { sums, statement: parseStatement(Buffer.from(text), sums), isNew, signatures }
}

async function statementFor(
  bundle: string,
  { content, now, expires, stale }: Omit<SigningOptions, 'signers' | 'formats'>,
): Promise<{ text: string; isNew: boolean; stale: SignedFiles['signatures'] }> {
  const made = (known?: Statement) => {
    const built = known?.built ?? printTime(now)
    const fields = {
      product: 'astrago-airgap' as const,
      ...content,
      built,
      expires: expires ?? known?.expires,
    }
    return printStatement(defined(fields))
  }
  const found = await readSignedFiles(bundle).catch(error => {
    if (stale === 'replace' && isErrorCode(error, 'SIGNATURE_INVALID')) return undefined
    throw error
  })
  if (found === undefined) return { text: made(), isNew: true, stale: [] }
  const known = stale === 'refuse' ? parseStatement(found.statement, found.path) : parsedOrNone(found)
  if (known === undefined || !isStatementOf(known, content)) {
    if (known !== undefined && stale === 'refuse') checkStated(known, { content, item: found.path })
    return { text: made(), isNew: true, stale: found.signatures }
  }
  const text = made(known)
  const isNew = text !== found.statement.toString('latin1')
  if (isNew && found.signatures.length > 0) throw otherExpiry(found, known)
  return { text, isNew, stale: [] }
}

function parsedOrNone({ statement, path }: SignedFiles): Statement | undefined {
  try {
    return parseStatement(statement, path)
  } catch {
    return undefined
  }
}

function otherExpiry({ path, signatures }: SignedFiles, { expires = 'never' }: Statement): AirgapError {
  return new AirgapError('USAGE', 'the bundle is signed already, with another expiry', {
    item: `${path}: expires ${expires}, ${signatures.length} signatures`,
    likely: 'the expiry is part of what was signed',
    next: `leave out --expires, or delete ${path} and its signatures, and have it signed again by everyone`,
  })
}

/** Every key whose signature is next to the bundle, as far as it is known: from the signers, and from formats that contain it. */
async function writeInstructions(
  bundle: string,
  keys: readonly PublicKey[],
): Promise<SignedBundle['instructions']> {
  const { statement, signatures, path: sums } = (await readSignedFiles(bundle))!
  const contained = signatures.flatMap(({ format, bytes }) =>
    format === 'ssh' ? (parseSshSignature(bytes)?.key ?? []) : [],
  )
  const { good } = verifySignatures(statement, { signatures, keys: [...keys, ...contained] })
  const text = instructions({
    bundle: basename(bundle),
    statement: parseStatement(statement, sums),
    sumsDigest: digestOf(statement),
    signatures: good.map(one => ({ ...one, bytes: signatures.find(({ path }) => path === one.path)!.bytes })),
  })
  const path = instructionsPath(bundle)
  const before = await readFile(path, 'utf8').catch(() => undefined)
  if (before !== text) await writeAtomically(path, text)
  return { path, text }
}
