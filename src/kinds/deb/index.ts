import { defineKind } from '../kind.ts'
import { assembleDebs } from './assemble.ts'
import { debEntry } from './entry.ts'
import { lockedDebsSchema } from './locked.ts'

/** Debian packages: the suites of one OS release per item, with the closure of what is requested. */
export const debKind = defineKind({
  name: 'deb',
  entry: debEntry,
  inputs: {
    of: deb => ({
      ...deb,
      sources: deb.sources.map(({ keysAsWritten, ...source }) => ({ ...source, keys: keysAsWritten })),
    }),
    empty: 'counted',
  },
  schema: lockedDebsSchema,
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
})
