import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { refuseExpired } from './expiry.ts'
import { readSignedFiles, type SignatureFormat, statementPath } from './files.ts'
import { checkProvenance } from './provenance-file.ts'
import type { PublicKey } from './public-key.ts'
import { tooFewSigners, unsignedBundle } from './refusals.ts'
import { checkStated, parseStatement, type StatedContent } from './statement.ts'
import { type SignatureReport, signersOf, verifySignatures } from './verify.ts'

export interface SignatureCheck {
  /** the keys that signed, each with the formats of its signatures */
  signers: (Pick<PublicKey, 'fingerprint' | 'short' | 'words'> & {
    formats: SignatureFormat[]
    trustedComment?: string
  })[]
  /** signatures by none of the keys */
  unknown: { path: string; format: SignatureFormat }[]
  /** how many of the keys signed the provenance; null: there is none */
  provenance: number | null
  built: string
  expires?: string
}

/**
 * Checks the signatures next to a bundle: good, by at least `threshold` of the keys, of this content, not expired; and those of
 * its provenance. Throws UNTRUSTED, EXPIRED, CLOCK_WRONG, SIGNATURE_INVALID; USAGE for a threshold above the number of keys.
 */
export async function checkSignatures(
  bundle: string,
  {
    keys,
    threshold,
    content,
    now,
  }: { keys: readonly PublicKey[]; threshold: number; content: StatedContent; now: Date },
): Promise<SignatureCheck> {
  const distinct = new Set(keys.map(({ fingerprint }) => fingerprint)).size
  if (threshold > distinct) throw unreachable(threshold, distinct)
  const files = await readSignedFiles(bundle)
  if (files === undefined) throw unsigned(bundle)
  const report = verifySignatures(files.statement, { signatures: files.signatures, keys })
  const signers = signersOf(report)
  if (report.good.length + report.unknown.length === 0) throw unsigned(bundle)
  if (signers.length < threshold) throw missed(files.path, { report, threshold, signers: signers.length })
  const statement = parseStatement(files.statement, files.path)
  checkStated(statement, { content, item: files.path })
  const { built, expires } = statement
  refuseExpired(statement, { path: files.path, now, latest: null })
  const provenance = await checkProvenance(bundle, { index: content.index, keys })
  return {
    signers: signers.map(key => described(key, report)),
    unknown: report.unknown.map(({ path, format }) => ({ path, format })),
    provenance: provenance?.length ?? null,
    built,
    ...defined({ expires }),
  }
}

function described(
  { raw, fingerprint, short, words }: PublicKey,
  { good }: SignatureReport,
): SignatureCheck['signers'][number] {
  const own = good.filter(({ key }) => key.raw.equals(raw))
  const formats = [...new Set(own.map(({ format }) => format))]
  const trustedComment = own.find(one => one.trustedComment !== undefined)?.trustedComment
  return { fingerprint, short, words, formats, ...defined({ trustedComment }) }
}

function unreachable(threshold: number, keys: number): AirgapError {
  return new AirgapError(
    'USAGE',
    `a threshold of ${threshold} cannot be reached with ${keys} ${keys === 1 ? 'key' : 'keys'}`,
    {
      item: '--threshold',
      next: 'pass each public key with --public-key FILE',
    },
  )
}

function unsigned(bundle: string): AirgapError {
  return unsignedBundle(statementPath(bundle), {
    next: 'copy the bundle again with all files whose names start with its own name, or sign it with `airgap sign`',
  })
}

function missed(
  path: string,
  { report, threshold, signers }: { report: SignatureReport; threshold: number; signers: number },
): AirgapError {
  const others = report.unknown.length
  if (signers === 0 && others > 0)
    return new AirgapError('UNTRUSTED', 'the bundle is signed with another key than those that were passed', {
      item: `${path}: ${report.unknown.map(({ key, hint }) => key?.short ?? hint ?? 'unknown key').join(', ')}`,
      likely: 'the file of the public key is that of somebody else, or the keys were rotated',
      next: 'get the public key of the person who built the bundle, separately from the bundle, and pass it with --public-key; if it is the right one, do not use this bundle',
    })
  return tooFewSigners(path, {
    found: signers,
    threshold,
    likely:
      others > 0
        ? `${others} ${others === 1 ? 'signature is' : 'signatures are'} by other keys`
        : 'the files of a signer were not copied, or the bundle is yet to be signed by others',
    next: 'copy the bundle again with all files next to it, or have it signed by the others with `airgap sign`',
  })
}
