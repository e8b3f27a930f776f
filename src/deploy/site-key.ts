import type { SiteKey } from '../site/site-key.ts'
import type { SiteState } from '../site/state.ts'

/** The site's key, made on first use. openpgp takes a tenth of a second to load: only where something is signed. */
export async function openKey(state: SiteState, now: () => Date): Promise<SiteKey> {
  const { openSiteKey } = await import('../site/site-key.ts')
  return await openSiteKey({ folder: state.folder, now })
}
