import type { Digest } from '../core/digest.ts'
import type { VerifyMode } from '../serve/served.ts'

/**
 * Where a site is and how it is set up, as far as the operator says so. What is undefined is taken from what the site was set up
 * with before, else from `defaults`.
 */
export interface SiteOptions {
  bundle?: string[]
  /** index digests of the bundles, obtained separately from the medium: any other bundle is refused */
  expect?: Digest[]
  /** files or fingerprints of keys that must have signed the first bundle; the site trusts them from then on */
  trustKey?: string[]
  site?: string
  address?: string
  registryPort?: number
  httpPort?: number
  listen?: string
  verify?: VerifyMode
  /** serve with certificates of the site's own CA: the default of a new site */
  tls?: boolean
  plainHttp?: boolean
  /** files with a certificate for the servers, its key, and what machines have to trust */
  tlsCert?: string
  tlsKey?: string
  tlsCa?: string
  requireLogin?: boolean
  /** bytes of all that is pushed; null: as much as the disk has */
  overlayQuota?: number | null
  env?: string
  nodeRoot?: string
}

export const defaults = {
  registryPort: 35_000,
  httpPort: 8080,
  listen: '0.0.0.0',
  verify: 'once',
  requireLogin: false,
  environment: 'prod',
} as const
