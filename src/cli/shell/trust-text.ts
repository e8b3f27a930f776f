import type { KeyView, TrustAdvice, TrustView } from '../../deploy/trust-view.ts'
import { localTime } from './format.ts'

/** How a bundle came to be trusted, as lines below it. */
export function trustLines({
  by,
  signedBy,
  unconfirmed,
  threshold,
  built,
  expires,
  accepted,
}: TrustView): string[] {
  return [
    ...(by === 'known' && signedBy.length === 0
      ? ['  trust   installed here before; not signed with a key of this site']
      : []),
    ...(by === 'expected' ? ['  trust   its digest is the one that was passed with --expect'] : []),
    ...(signedBy.length === 0
      ? []
      : [`  signed  by ${signedBy.map(keyText).join(', ')}${ofThreshold(threshold)}`]),
    ...unconfirmed.map(key => `  signed  by ${keyText(key)}, which nobody has confirmed at this site`),
    ...(threshold === null && unconfirmed.length === 0 && built === null ? ['  signed  no'] : []),
    ...(built === null
      ? []
      : [`  built   ${localTime(built)}${expires === null ? '' : `, expires ${localTime(expires)}`}`]),
    ...(accepted === null ? [] : [`  trusted since ${localTime(accepted.at)}, by ${accepted.by}`]),
  ]
}

/** What to do about the keys of a site after an install. */
export function adviceLines({ unpinned, spare }: TrustAdvice): string[] {
  if (unpinned.length > 0)
    return [
      'no key is pinned: --expect vouched for this bundle only, and the site accepts unsigned bundles',
      ...unpinned.map(key => `  signed  by ${keyText(key)}, which nobody has confirmed at this site`),
      '  next: compare the fingerprint with the person who built the bundle, then run `offline-deploy apply --trust-key FINGERPRINT`, or `offline-deploy keys add FILE`',
    ]
  if (spare === null) return []
  const { required, signatures, keys } = spare
  const first = `the bundle has ${signatures} signatures, and this site requires ${required}`
  return keys >= signatures
    ? [`${first}: \`offline-deploy keys threshold ${signatures}\` requires ${signatures} from now on`]
    : [
        `${first}: add the other keys with \`offline-deploy keys add FILE\`, then require them with \`offline-deploy keys threshold ${signatures}\``,
      ]
}

function ofThreshold(threshold: number | null): string {
  return threshold === null || threshold === 1 ? '' : ` (${threshold} required)`
}

export function keyText({ name, short, words }: KeyView): string {
  return name === null ? `${short} (${words})` : `${name} (${short})`
}
