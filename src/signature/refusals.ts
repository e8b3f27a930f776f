import { AirgapError } from '../core/errors.ts'

/**
 * A bundle without the signatures that are required is UNTRUSTED, an expired one EXPIRED (`expiry.ts`), wherever it is checked; SIGNATURE_INVALID is a
 * signature that is wrong, or of something else.
 */

/** `next` depends on who checks: the person who builds bundles can sign, a site cannot. */
export function unsignedBundle(item: string, { next, at = '' }: { next: string; at?: string }): AirgapError {
  return new AirgapError('UNTRUSTED', `the bundle is not signed${at}`, {
    item,
    likely: 'its signatures were not copied with it, or somebody removed them',
    next,
  })
}

export function tooFewSigners(
  item: string,
  {
    what = 'bundle',
    found,
    threshold,
    likely,
    next,
  }: { what?: string; found: number; threshold: number; likely: string; next: string },
): AirgapError {
  return new AirgapError(
    'UNTRUSTED',
    `the ${what} has ${found} of the ${threshold} signatures that are required`,
    { item, likely, next },
  )
}
