import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { formatReference, type Reference } from '../core/reference.ts'
import type { RegistryClient, ResolvedManifest } from '../remote/contract.ts'
import { findSignatures } from './find-signatures.ts'
import { checkKeylessSimpleSigning } from './keyless-simple-signing.ts'
import { checkNotation } from './notation-signer.ts'
import { type ArtifactName, canonicalName, type PolicySigner, type SignaturePolicy } from './policy.ts'
import type { FoundSignature, SignedSubject, Verdict } from './signature.ts'
import type { SignedBy } from './signed-by.ts'
import { checkSigstoreBundle } from './sigstore-bundle.ts'
import { checkSimpleSigning } from './simple-signing.ts'

interface Artifact {
  /** for messages: `image`, `chart` */
  what: string
  /** where it is fetched from */
  from: Reference
  /** the name that it is deployed under */
  reference: ArtifactName
  /** position in the manifest */
  at: string
  /** what its name leads to; the digest covers the rest */
  root: ResolvedManifest
}

/**
 * Returns who signed an artifact: of each policy the first of its signers; undefined where no policy applies. Throws
 * SIGNATURE_INVALID unless each policy has a signer that signed this digest, under this name where the signature states one.
 */
export async function checkedSigners(
  artifact: Artifact,
  {
    policies = [],
    registry,
    now,
  }: { policies: readonly SignaturePolicy[] | undefined; registry: RegistryClient; now: Date },
): Promise<SignedBy[] | undefined> {
  if (policies.length === 0) return undefined
  const { from, reference, root } = artifact
  const reasons: string[] = []
  const signatures = await findSignatures(root, { from, registry, reasons })
  const { digest, mediaType, size } = root.descriptor
  const names = [reference, from].map(canonicalName)
  const subject: SignedSubject = { digest, mediaType, size, bytes: root.bytes, names }
  const found = policies.map(policy => {
    const by = firstSigner(policy, { signatures, subject, now, reasons })
    if (by === undefined) throw unsigned(artifact, { policy, reasons })
    return by
  })
  const distinct = new Map(found.map(by => [canonicalJson(by), by]))
  return [...distinct].sort(([a], [b]) => compareText(a, b)).map(([, by]) => by)
}

/**
 * The first of a policy's signers who signed; of several certificates that one signer had, the first by their text: the order in which a
 * registry lists signatures must not change the lock.
 */
function firstSigner(
  { signers }: SignaturePolicy,
  context: { signatures: readonly FoundSignature[]; subject: SignedSubject; now: Date; reasons: string[] },
): SignedBy | undefined {
  const { signatures, subject, now, reasons } = context
  for (const signer of signers) {
    const good: SignedBy[] = []
    for (const signature of signatures) {
      const verdict = check(signature, { signer, subject, now })
      if ('by' in verdict) good.push(verdict.by)
      else reasons.push(verdict.refused)
    }
    const [first] = good.sort((a, b) => compareText(canonicalJson(a), canonicalJson(b)))
    if (first !== undefined) return first
  }
  return undefined
}

function check(
  signature: FoundSignature,
  { signer, subject, now }: { signer: PolicySigner; subject: SignedSubject; now: Date },
): Verdict {
  if (signature.format === 'notation')
    return signer.type === 'notation'
      ? checkNotation(signature, { signer, subject, now })
      : { refused: 'a signature is by notation' }
  if (signer.type === 'notation') return { refused: 'a signature is by cosign' }
  if (signature.format === 'sigstore-bundle') return checkSigstoreBundle(signature.bytes, { signer, subject })
  return signer.type === 'key'
    ? checkSimpleSigning(signature, { signer, subject })
    : checkKeylessSimpleSigning(signature, { signer, subject })
}

function unsigned(
  { what, from, root, at }: Artifact,
  { policy, reasons }: { policy: SignaturePolicy; reasons: string[] },
): AirgapError {
  const problem =
    reasons.length === 0
      ? `the ${what} is not signed`
      : `the ${what} has no valid signature by the required signers`
  return new AirgapError('SIGNATURE_INVALID', `${problem} (signatures: ${policy.source})`, {
    item: `${formatReference(from)} ${root.descriptor.digest} (${at})`,
    likely:
      reasons.length === 0
        ? 'its publisher does not sign it, or a mirror does not have the signatures'
        : [...new Set(reasons)].slice(0, 3).join('; '),
    next: `do not use this ${what}; compare \`signatures:\` with what the publisher announces: who signs it, with which key, under which name`,
  })
}
