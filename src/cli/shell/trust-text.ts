import type { KeyView, TrustView } from '../../deploy/trust-view.ts'
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

function ofThreshold(threshold: number | null): string {
  return threshold === null || threshold === 1 ? '' : ` (${threshold} required)`
}

export function keyText({ name, short, words }: KeyView): string {
  return name === null ? `${short} (${words})` : `${name} (${short})`
}
