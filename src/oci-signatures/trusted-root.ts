import { createHash } from 'node:crypto'
import { TrustedRoot as ProtoRoot } from '@sigstore/protobuf-specs'
import { type TrustMaterial, toTrustMaterial } from '@sigstore/verify'
import { AirgapError } from '../core/errors.ts'

/** Whom keyless signatures are trusted from: certificate authorities, logs and timestamp authorities, with their times. */
export interface TrustedRoot {
  material: TrustMaterial
  /** SHA-256 of the file, hex */
  digest: string
}

/**
 * Parses a `trusted_root.json` (sigstore/protobuf-specs, sigstore_trustroot.proto). Throws KEY_INVALID for anything else, and for a root without
 * an authority, a transparency log or a certificate transparency log: a signature that nothing records is not keyless verification.
 */
export function parseTrustedRoot(text: string, item: string): TrustedRoot {
  let material: TrustMaterial
  try {
    material = toTrustMaterial(ProtoRoot.fromJSON(JSON.parse(text)))
  } catch (error) {
    throw invalid('the file is not a trusted root', { item, cause: error })
  }
  const { certificateAuthorities, tlogs, ctlogs } = material
  const missing = [
    certificateAuthorities.some(({ certChain }) => certChain.length > 0) ? [] : ['certificate authority'],
    tlogs.length > 0 ? [] : ['transparency log'],
    ctlogs.length > 0 ? [] : ['certificate transparency log'],
  ].flat()
  if (missing.length > 0) throw invalid(`the trusted root has no ${missing.join(' and no ')}`, { item })
  return { material, digest: createHash('sha256').update(text).digest('hex') }
}

function invalid(what: string, { item, cause }: { item: string; cause?: unknown }): AirgapError {
  return new AirgapError('KEY_INVALID', what, {
    item,
    likely: 'it is a TUF root, a key or a certificate, or was copied in part',
    next: "use the trusted_root.json of the publisher's sigstore instance: `cosign trusted-root create` writes one",
    cause,
  })
}
