import { defineKind } from '../kind.ts'
import { assembleRpms } from './assemble.ts'
import { rpmEntry } from './entry.ts'
import { lockedRpmsSchema } from './locked.ts'

/** Packages of the RHEL family: the repositories of one OS release per item, with the closure of the requested packages. */
export const rpmKind = defineKind({
  name: 'rpm',
  entry: rpmEntry,
  inputs: {
    // the entitlement of the build host does not change what is requested
    of: rpm => ({
      ...rpm,
      repositories: rpm.repositories.map(({ client, keysAsWritten, ...repository }) => ({
        ...repository,
        keys: keysAsWritten,
      })),
    }),
    empty: 'counted',
  },
  schema: lockedRpmsSchema,
  // OpenPGP, XML and decompression are only needed here; a build from a lock does without them
  resolve: async (request, context) => (await import('./resolve.ts')).resolveRpms(request, context),
  assemble: assembleRpms,
  describe: item => {
    const baseurls = new Map(item.repositories.map(one => [one.id, one.baseurl]))
    return item.packages.map(rpm => ({
      name: `${item.name}/${rpm.name}-${rpm.epoch === '0' ? '' : `${rpm.epoch}:`}${rpm.version}-${rpm.release}.${rpm.architecture}`,
      version: `${rpm.version}-${rpm.release}`,
      size: rpm.size,
      source: baseurls.get(rpm.repository) ?? '',
    }))
  },
})
