import type { Digest } from '../../core/digest.ts'
import type { SiteAddress } from '../address.ts'

/** What the start page says about a served bundle. Plain data: a serving process is sent it. */
export interface AboutBundle {
  name: string
  version: string
  /** index digest */
  digest: Digest
  /** of the whole file, bytes */
  size: number
  /** UTC, from the signed statement; absent for a bundle without one */
  built?: string
  /** how the bundle came to be trusted (site-trust.ts) */
  trust: 'signed' | 'known' | 'expected' | 'nothing'
  signers: AboutKey[]
  /** keys that signed it, which nobody at this site has confirmed */
  unconfirmed: AboutKey[]
}

export interface AboutKey {
  /** the name that the site has for it */
  name?: string
  /** `SHA256:…` */
  fingerprint: string
  /** to compare over the phone */
  words: string
}

/** What the start page says about the site. */
export interface AboutSite {
  address: SiteAddress
  bundles: readonly AboutBundle[]
  /** of the site's OpenPGP key, 40 hex digits */
  keyFingerprint: string
}
