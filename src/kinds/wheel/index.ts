import { defined } from '../../core/defined.ts'
import { digestFromHex } from '../../core/digest.ts'
import { packageUrl } from '../../core/package-url.ts'
import { redactUrl } from '../../core/redact.ts'
import { sha256Hash } from '../component.ts'
import { defineKind } from '../kind.ts'
import { assembleWheels } from './assemble.ts'
import { wheelEntry } from './entry.ts'
import { type LockedDistribution, lockedWheelsSchema } from './locked.ts'
import { wheelMount } from './mount.ts'
import { publisherOf } from './publisher.ts'

/** Python wheels: the closure of requirements, for given Pythons and platforms. */
export const wheelKind = defineKind({
  name: 'wheel',
  entry: wheelEntry,
  inputs: {
    of: wheel => ({
      ...wheel,
      // a plain index as the first lockfiles have it
      indexes: wheel.indexes.map(index => (index.projects === undefined ? index.url : index)),
      requirements: wheel.requirements.map(({ text }) => ({ text })),
      constraints: wheel.constraints.map(({ text }) => ({ text })),
    }),
    empty: 'counted',
  },
  schema: lockedWheelsSchema,
  light: false,
  resolve: async (request, context) => (await import('./resolve.ts')).resolveWheels(request, context),
  create: 'nothing',
  assemble: assembleWheels,
  section: 'packages',
  describe: item =>
    item.distributions.map(one => ({
      name: `pypi/${one.filename}`,
      group: `pypi (${item.name})`,
      subject: one.project,
      version: one.version,
      digest: digestFromHex(one.sha256),
      size: one.size,
      source: redactUrl(new URL('/', one.url)),
      vouchedBy: voucherOf(one),
      ...defined({ firstUse: one.firstUse }),
      locked: one,
    })),
  packages: item => ({
    title: `pypi (${item.name})`,
    tree: 'pypi',
    packages: item.distributions.map(({ project, version, filename, because }) => ({
      name: project,
      title: `${project} ${version}`,
      source: filename,
      because,
    })),
    locked: { ...item, distributions: undefined },
  }),
  components: item =>
    item.distributions.map(({ project: name, version, filename, sha256, metadata }) => ({
      type: 'library',
      ...publisherOf(metadata),
      'bom-ref': `wheel/${filename}`,
      name,
      version,
      hashes: sha256Hash(sha256),
      purl: packageUrl('pypi', [name], { version, file_name: filename }),
    })),
  mounts: { registry: 'none', http: wheelMount },
})

function voucherOf({ pinned, firstUse }: LockedDistribution): string {
  if (pinned) return 'hash of the requirement'
  return firstUse ? 'nobody (first use)' : 'the package index'
}
