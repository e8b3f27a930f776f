import { defined } from '../core/defined.ts'
import type { PublicKey } from '../signature/public-key.ts'
import type { AboutBundle, AboutKey } from '../site/start-page/about.ts'
import type { OpenBundle } from './open-bundles.ts'

/** What the start page says about a bundle: what was established when it was opened. */
export function aboutBundle({
  identity,
  store,
  trust,
}: Pick<OpenBundle, 'identity' | 'store' | 'trust'>): AboutBundle {
  const { name, version, digest } = identity
  return defined({
    name,
    version,
    digest,
    size: store.size,
    built: trust.statement?.built,
    trust: trust.by,
    signers: trust.signers.map(({ key, name }) => aboutKey(key, name)),
    unconfirmed: trust.unconfirmed.map(key => aboutKey(key)),
  })
}

function aboutKey({ fingerprint, words }: PublicKey, name?: string): AboutKey {
  return defined({ name, fingerprint, words })
}
