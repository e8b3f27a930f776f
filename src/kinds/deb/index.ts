import type { DebRequest } from '../../manifest/stack.ts'
import type { Kind } from '../kind.ts'
import { assembleDebs } from './assemble.ts'
import { type LockedDebs, lockedDebsSchema } from './locked.ts'

/** Debian packages: the suites of one OS release per item, with the closure of what is asked for. */
export const debKind: Kind<DebRequest, LockedDebs> = {
  name: 'deb',
  schema: lockedDebsSchema,
  requests: manifest => manifest.debs,
  // OpenPGP and decompression are only needed here; a build from a lock does without them
  resolve: async (request, context) => (await import('./resolve.ts')).resolveDebs(request, context),
  assemble: assembleDebs,
  describe: item =>
    item.packages.map(deb => ({
      name: `${item.name}/${deb.name}_${deb.version}_${deb.architecture}`,
      version: deb.version,
      size: deb.size,
      source: item.sources[deb.source]?.archive ?? '',
    })),
}
