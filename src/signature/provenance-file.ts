import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { type Digest, hexOf } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { readGuarded } from '../core/guarded-file.ts'
import { type Envelope, envelopeSigners, parseEnvelope, printEnvelope, signEnvelope } from './dsse.ts'
import type { PublicKey } from './public-key.ts'
import type { Signer } from './signer.ts'

/** An in-toto statement (in-toto/attestation, spec/v1/statement.md). */
export interface ProvenanceStatement {
  _type: 'https://in-toto.io/Statement/v1'
  subject: { name: string; digest: { sha256: string } }[]
  predicateType: string
  predicate: object
}

const payloadType = 'application/vnd.in-toto+json'
const maxSize = 64 * 1024 * 1024 /* bytes */

/** How a bundle was built, next to it: it varies from build to build. */
export function provenancePath(bundle: string): string {
  return `${bundle}.provenance.json`
}

/**
 * Writes the provenance of a build, signed by every signer; without `statement`, signs the one that is there, if any. Returns the path, or
 * undefined where nothing was written. Throws SIGNATURE_INVALID for the provenance of another bundle.
 */
export async function writeProvenance(
  bundle: string,
  {
    index,
    statement,
    signers,
  }: { index: Digest; statement?: ProvenanceStatement; signers: readonly Signer[] },
): Promise<string | undefined> {
  const path = provenancePath(bundle)
  let envelope: Envelope
  if (statement !== undefined)
    envelope = { payloadType, payload: Buffer.from(canonicalJson(statement)), signatures: [] }
  else {
    const found = await readProvenance(bundle, index)
    if (found === undefined || signers.length === 0) return undefined
    envelope = found
  }
  for (const signer of signers) envelope = await signEnvelope(envelope, signer)
  await writeAtomically(path, printEnvelope(envelope))
  return path
}

/** Reads the envelope next to a bundle; undefined where there is none. Throws SIGNATURE_INVALID unless it is about this bundle. */
export async function readProvenance(bundle: string, index: Digest): Promise<Envelope | undefined> {
  const path = provenancePath(bundle)
  const file = await readGuarded(path, maxSize).catch(error => {
    throw isErrorCode(error, 'VALUES_INVALID') ? wrong(path, error.message) : error
  })
  if (file === undefined) return undefined
  const envelope = parseEnvelope(file.bytes)
  if (envelope === undefined || envelope.payloadType !== payloadType)
    throw wrong(path, 'this is not a signed provenance')
  if (!isAbout(envelope.payload, index)) throw wrong(path, 'the provenance is that of another bundle')
  return envelope
}

/** Returns the keys that signed the provenance; undefined where there is none. Throws SIGNATURE_INVALID. */
export async function checkProvenance(
  bundle: string,
  { index, keys }: { index: Digest; keys: readonly PublicKey[] },
): Promise<PublicKey[] | undefined> {
  const envelope = await readProvenance(bundle, index)
  if (envelope === undefined) return undefined
  const signers = envelopeSigners(envelope, keys)
  if (signers === undefined) throw wrong(provenancePath(bundle), 'the signature of the provenance is wrong')
  return signers
}

function isAbout(payload: Buffer, index: Digest): boolean {
  try {
    const { subject } = JSON.parse(payload.toString('utf8')) as Partial<ProvenanceStatement>
    return subject?.length === 1 && subject[0]?.digest?.sha256 === hexOf(index)
  } catch {
    return false
  }
}

function wrong(item: string, what: string): AirgapError {
  return new AirgapError('SIGNATURE_INVALID', what, {
    item,
    likely: 'it was changed, or files of two bundles were mixed',
    next: 'copy the files next to the bundle again, or delete this one: the bundle is verified without it',
  })
}
