import { hexOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import type { BundleStore } from './reader.ts'

/** What a signature of a bundle vouches for, as far as the bundle determines it. */
export interface SignedContent {
  name: string
  version: string
  /** digest of index.json */
  index: BundleStore['indexDigest']
  /**
   * index.json, and every file that runs on site before the bundle is verified, sorted by path. A second name of a file is left out: `tar -O`
   * prints nothing for a link.
   */
  files: { path: string; sha256: string }[]
}

/**
 * Returns the digests that the bundle states; `verifyBundle` reads whether they are right. Throws BUNDLE_CORRUPT for a file without one.
 */
export function signedContent(bundle: Pick<BundleStore, 'info' | 'indexDigest' | 'entries'>): SignedContent {
  const started = bundle
    .entries()
    .filter(({ path, type }) => type === 'file' && path.startsWith('offline-deploy/'))
    .map(({ path, digest }) => {
      if (digest === undefined) throw withoutDigest(path)
      return { path, sha256: hexOf(digest) }
    })
  const { name, version } = bundle.info
  const index = { path: 'index.json', sha256: hexOf(bundle.indexDigest) }
  return { name, version, index: bundle.indexDigest, files: [index, ...started] }
}

function withoutDigest(item: string): AirgapError {
  return new AirgapError('BUNDLE_CORRUPT', 'nothing in the bundle states the digest of this file', {
    item,
    likely: 'the bundle was changed, or made by another tool',
    next: 'do not use it; build the bundle again',
  })
}
