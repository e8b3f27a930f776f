import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { readSignedFiles, type SignatureFormat, statementPath } from './files.ts'
import { checkProvenance } from './provenance-file.ts'
import type { PublicKey } from './public-key.ts'
import { checkStated, parseStatement, printTime, type StatedContent } from './statement.ts'
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
 * its provenance. Throws SIGNATURE_INVALID;
 * USAGE for a threshold above the number of keys.
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
  if (signers.length < threshold) throw missed(files.path, { report, threshold, signers: signers.length })
  const statement = parseStatement(files.statement, files.path)
  checkStated(statement, { content, item: files.path })
  const { built, expires } = statement
  if (expires !== undefined && printTime(now) >= expires) throw expired(files.path, { expires, now })
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
  return new AirgapError('SIGNATURE_INVALID', 'the bundle is not signed', {
    item: statementPath(bundle),
    likely: 'the files next to the bundle were not copied, or someone removed them',
    next: 'copy the bundle again with all files whose names start with its own name, or sign it with `airgap sign`',
  })
}

function missed(
  path: string,
  { report, threshold, signers }: { report: SignatureReport; threshold: number; signers: number },
): AirgapError {
  const others = report.unknown.length
  return new AirgapError('SIGNATURE_INVALID', `${signers} of the keys signed the bundle, not ${threshold}`, {
    item: path,
    likely:
      others > 0
        ? `${others} ${others === 1 ? 'signature is' : 'signatures are'} by other keys`
        : 'the files of a signer were not copied, or the bundle is yet to be signed by others',
    next: 'copy the bundle again with all files next to it, or have it signed by the others with `airgap sign`',
  })
}

function expired(path: string, { expires, now }: { expires: string; now: Date }): AirgapError {
  return new AirgapError('SIGNATURE_INVALID', `the bundle expired on ${expires.slice(0, 10)}`, {
    item: `${path}: expires ${expires}`,
    likely: `the clock of this host shows ${printTime(now)}: the bundle is out of date, or the clock is wrong`,
    next: 'build and sign the bundle again; if the clock is wrong, set it with timedatectl',
  })
}
