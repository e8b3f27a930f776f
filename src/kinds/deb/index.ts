import { defined } from '../../core/defined.ts'
import { digestFromHex } from '../../core/digest.ts'
import { packageUrl } from '../../core/package-url.ts'
import { redactUrl } from '../../core/redact.ts'
import { namedSupplier, sha256Hash, vendorNamespace } from '../component.ts'
import { defineKind } from '../kind.ts'
import { withKernelPackages } from '../package-entry.ts'
import { assembleDebs } from './assemble.ts'
import { debEntry } from './entry.ts'
import { type LockedSource, lockedDebsSchema } from './locked.ts'
import { debMount } from './mount.ts'

/** Debian packages: the suites of one OS release per item, with the closure of the requested packages. */
export const debKind = defineKind({
  name: 'deb',
  entry: debEntry,
  inputs: {
    of: ({ kernels, ...deb }) => ({
      ...deb,
      packages: withKernelPackages({ ...deb, ...defined({ kernels }) }),
      sources: deb.sources.map(({ keysAsWritten, ...source }) => ({ ...source, keys: keysAsWritten })),
    }),
    empty: 'counted',
  },
  schema: lockedDebsSchema,
  light: false,
  resolve: async (request, context) => (await import('./resolve.ts')).resolveDebs(request, context),
  create: 'nothing',
  assemble: assembleDebs,
  section: 'packages',
  describe: item =>
    item.packages.map(deb => ({
      name: `${item.name}/${deb.name}_${deb.version}_${deb.architecture}`,
      group: `debs/${item.name}`,
      subject: `${deb.name}:${deb.architecture}`,
      version: deb.version,
      digest: digestFromHex(deb.sha256),
      size: deb.size,
      source: shownArchive(item.sources[deb.source]),
      vouchedBy: voucherOf(item.sources[deb.source]),
      locked: deb,
    })),
  packages: item => ({
    title: `debs/${item.name}`,
    tree: `debs/${item.name}`,
    packages: item.packages.map(({ name, version, architecture, source, because }) => {
      const from = item.sources[source]
      const title = `${name} ${version} ${architecture}`
      return { name, title, source: `${shownArchive(from)} ${from?.suite ?? ''}`, because }
    }),
    locked: { ...item, packages: undefined },
  }),
  components: item =>
    item.packages.map(({ name, version, architecture: arch, sha256, source, stanza }) => ({
      type: 'library',
      'bom-ref': `deb/${item.name}/${name}_${version}_${arch}`,
      ...namedSupplier(/^(?:Original-)?Maintainer:\s*([^<]*)/m.exec(stanza.join('\n'))?.[1]),
      name,
      version,
      hashes: sha256Hash(sha256),
      purl: packageUrl('deb', [vendorOf(item.name, item.sources[source]), name], {
        version,
        arch,
        distro: item.name,
      }),
    })),
  mounts: { registry: 'none', http: debMount },
})

/** A lock of an older version may have a password in it. */
function shownArchive(source: LockedSource | undefined): string {
  return source === undefined ? '' : redactUrl(source.archive).replace(/\/$/, '')
}

function voucherOf(source: LockedSource | undefined): string {
  return source?.signedBy === undefined ? 'the suite (an OpenPGP key)' : `OpenPGP key ${source.signedBy}`
}

/** The namespace of its package URLs: the distribution, or the `Origin` of an archive of someone else. */
function vendorOf(release: string, source: LockedSource | undefined): string {
  const origin = vendorNamespace(source?.release['Origin'] ?? '')
  const distribution = /^(?:debian|ubuntu)(?=-|$)/.exec(origin)?.[0]
  const isUbuntu = /ubuntu/i.test(`${release} ${source?.archive}`)
  return distribution ?? (origin || (isUbuntu ? 'ubuntu' : 'debian'))
}
