import { defined } from '../../core/defined.ts'
import { digestFromHex } from '../../core/digest.ts'
import { packageUrl } from '../../core/package-url.ts'
import { redactUrl } from '../../core/redact.ts'
import { withoutTrailing } from '../../core/trim.ts'
import { joinedLines } from '../../lock/text-lines.ts'
import { namedLicense, namedSupplier, sha256Hash } from '../component.ts'
import { defineKind } from '../kind.ts'
import { withKernelPackages } from '../package-entry.ts'
import { assembleRpms } from './assemble.ts'
import { rpmEntry } from './entry.ts'
import { type LockedRepository, type LockedRpm, lockedRpmsSchema } from './locked.ts'
import { rpmMount } from './mount.ts'
import { publisherOf } from './publisher.ts'

/** Packages of the RHEL family: the repositories of one OS release per item, with the closure of the requested packages. */
export const rpmKind = defineKind({
  name: 'rpm',
  entry: rpmEntry,
  inputs: {
    // the entitlement of the build host does not change what is requested
    of: ({ kernels, ...rpm }) => ({
      ...rpm,
      packages: withKernelPackages({ ...rpm, ...defined({ kernels }) }),
      repositories: rpm.repositories.map(({ client, keysAsWritten, packages, ...repository }) => ({
        ...repository,
        ...(packages === 'unsigned' ? { packages } : {}),
        keys: keysAsWritten,
      })),
    }),
    empty: 'counted',
  },
  schema: lockedRpmsSchema,
  light: false,
  resolve: async (request, context) => (await import('./resolve.ts')).resolveRpms(request, context),
  create: 'nothing',
  assemble: assembleRpms,
  section: 'packages',
  describe(item) {
    const repositories = new Map(item.repositories.map(one => [one.id, one]))
    return item.packages.map(rpm => ({
      name: `${item.name}/${rpm.name}-${evrOf(rpm)}.${rpm.architecture}`,
      group: `rpms/${item.name}`,
      subject: `${rpm.name}.${rpm.architecture}`,
      version: `${rpm.version}-${rpm.release}`,
      digest: digestFromHex(rpm.sha256),
      size: rpm.size,
      source: originOf(repositories.get(rpm.repository)),
      vouchedBy: voucherOf(rpm, repositories.get(rpm.repository)),
      locked: rpm,
    }))
  },
  packages: item => ({
    title: `rpms/${item.name}`,
    tree: `rpms/${item.name}`,
    packages: item.packages.map(rpm => ({
      name: rpm.name,
      title: `${rpm.name} ${evrOf(rpm)} ${rpm.architecture}`,
      source: rpm.repository,
      because: rpm.because,
    })),
    locked: { ...item, packages: undefined },
  }),
  components: item =>
    item.packages.map(rpm => {
      const { name, epoch, architecture: arch } = rpm
      const version = `${rpm.version}-${rpm.release}`
      const qualifiers = { version, arch, epoch: epoch === '0' ? undefined : epoch, distro: item.name }
      const { vendor, license, namespace } = publisherOf(joinedLines(rpm.primary))
      return {
        type: 'library',
        ...namedSupplier(vendor),
        ...namedLicense(license),
        'bom-ref': `rpm/${item.name}/${name}-${epoch}:${version}.${arch}`,
        name,
        version,
        hashes: sha256Hash(rpm.sha256),
        purl: packageUrl('rpm', [namespace ?? withoutTrailing(item.name, '-.0123456789'), name], qualifiers),
      }
    }),
  mounts: { registry: 'none', http: rpmMount },
})

/** A lock of an older version may have a password in it. */
function originOf(repository: LockedRepository | undefined): string {
  const { baseurl, mirrorlist, metalink } = repository ?? {}
  return redactUrl(baseurl ?? mirrorlist ?? metalink ?? '').replace(/\/$/, '')
}

function voucherOf(rpm: LockedRpm, repository: LockedRepository | undefined): string {
  if (rpm.signedBy !== undefined) return `OpenPGP key ${rpm.signedBy}`
  // locks of an older version name no keys
  if (repository?.signedBy === undefined) return 'the repository (an OpenPGP key)'
  return `list of packages, signed by OpenPGP key ${repository.signedBy}`
}

/** `[epoch:]version-release` */
function evrOf({ epoch, version, release }: LockedRpm): string {
  return `${epoch === '0' ? '' : `${epoch}:`}${version}-${release}`
}
