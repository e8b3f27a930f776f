import { AirgapError } from '../core/errors.ts'
import { compareBundleVersions } from '../site/bundle-version.ts'
import { type BundleIdentity, readBundleRecord } from './bundle-record.ts'

export interface VersionChangeOptions {
  /** record of the installed bundles */
  record: string
  /** whether machines are installed, not only the servers */
  machines: boolean
  upgrade: boolean
  allowOlder: boolean
}

/**
 * Throws INCOMPATIBLE for a bundle of another version than the one installed under the same name, unless the operator requested
 * that change. If machines are installed, they must be backed up before any change of version, and only `upgrade` does that.
 */
export async function refuseOtherVersions(
  bundles: readonly { path: string; identity: BundleIdentity }[],
  options: VersionChangeOptions,
): Promise<void> {
  const { machines, upgrade, allowOlder } = options
  const installed = await readBundleRecord(options.record)
  const backedUp = upgrade || !machines
  for (const { path, identity } of bundles) {
    const before = installed.find(({ name }) => name === identity.name)?.version
    if (before === undefined) continue
    const change = { path, before, version: identity.version }
    const order = compareBundleVersions(change.version, before)
    if (order < 0 && !(allowOlder && backedUp)) throw olderBundle(change, machines ? 'upgrade' : 'apply')
    if (order >= 0 && change.version !== before && !backedUp) throw otherBundle(change, order)
  }
}

interface VersionChange {
  path: string
  version: string
  /** the installed version */
  before: string
}

function olderBundle({ path, version, before }: VersionChange, command: string): AirgapError {
  return new AirgapError(
    'INCOMPATIBLE',
    `the bundle is older than the installed one: ${version}, not ${before}`,
    {
      item: path,
      likely: 'it is the medium of an earlier delivery',
      next: `use the newer bundle; to go back deliberately, run \`offline-deploy ${command} --bundle ${path} --allow-older\``,
    },
  )
}

function otherBundle({ path, version, before }: VersionChange, order: number): AirgapError {
  return new AirgapError(
    'INCOMPATIBLE',
    `the bundle is ${order > 0 ? 'newer than' : 'another build of'} the installed one: ${version}, not ${before}`,
    {
      item: path,
      likely: 'this is an upgrade, or an upgrade that was interrupted',
      next: `run \`offline-deploy upgrade --bundle ${path}\`, which backs up the site before it changes anything`,
    },
  )
}
