import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import type { DebRequest } from '../kinds/deb/entry.ts'
import type { InstalledPackage } from '../kinds/package-entry.ts'
import type { RpmRequest } from '../kinds/rpm/entry.ts'
import type { SiteFacts } from '../lock/schema.ts'
import type { StackManifest } from '../manifest/stack.ts'
import { repositoryFor, repositoryNames } from '../probe/repository-name.ts'
import type { Probe } from '../probe/schema.ts'

/** A probe and the file that contains it. */
export interface NamedProbe {
  file: string
  probe: Probe
}

/**
 * Returns the facts about a site's machines for each package entry of the manifest: the running kernels, and the packages that all
 * of its machines have. Throws MANIFEST_INVALID for a machine that no entry serves.
 */
export function factsOf(manifest: StackManifest, probes: readonly NamedProbe[]): SiteFacts[] {
  const machines = new Map<string, Probe[]>()
  for (const { file, probe } of probes) {
    const entry = entryFor(manifest, { file, probe })
    const others = machines.get(entry)
    if (others) others.push(probe)
    else machines.set(entry, [probe])
  }
  return [...machines]
    .map(([entry, own]) => ({
      entry,
      kernels: [...new Set(own.map(probe => probe.kernel.release))].sort(compareText),
      base: commonPackages(own),
    }))
    .sort((a, b) => compareText(a.entry, b.entry))
}

/** Returns the manifest adjusted to a site: with its kernels, without the packages that all machines have. */
export function forSite(manifest: StackManifest, facts: readonly SiteFacts[]): StackManifest {
  const adjust = <T extends DebRequest | RpmRequest>(request: T): T => {
    const own = facts.find(one => one.entry === request.name)
    const added = request.kernelPackages.filter(pattern => !pattern.includes('{kernel}'))
    return {
      ...request,
      packages: [...new Set([...request.packages, ...added])].sort(compareText),
      ...(own && { kernels: own.kernels, base: { type: 'list', packages: own.base } }),
    }
  }
  return { ...manifest, debs: manifest.debs.map(adjust), rpms: manifest.rpms.map(adjust) }
}

/** Returns the entries whose kernel packages are unknown without a probe. */
export function kernelsUnknown(manifest: StackManifest, facts: readonly SiteFacts[]): string[] {
  return [...manifest.debs, ...manifest.rpms]
    .filter(({ kernelPackages }) => kernelPackages.some(pattern => pattern.includes('{kernel}')))
    .map(request => request.name)
    .filter(name => !facts.some(one => one.entry === name))
}

function entryFor(manifest: StackManifest, { file, probe }: NamedProbe): string {
  const entries = [...manifest.debs, ...manifest.rpms].map(request => request.name)
  const found = repositoryFor(probe.os, entries)
  if (found !== undefined) return found
  const names = repositoryNames(probe.os)
  throw new AirgapError(
    'MANIFEST_INVALID',
    `the manifest has no package entry for ${names[0] ?? probe.os.id}`,
    {
      item: file,
      likely: entries.length > 0 ? `it has entries for ${entries.join(', ')}` : 'it has no packages',
      next: `add an entry named ${names.at(-1) ?? probe.os.id} under debs: or rpms:, or omit this probe`,
    },
  )
}

/** Returns the packages that every machine has in the same version: a different one may be too old for what is carried. */
function commonPackages(probes: readonly Probe[]): InstalledPackage[] {
  const [first, ...others] = probes
  const keyOf = ({ name, architecture }: InstalledPackage) => `${name}\u0000${architecture}`
  const tables = others.map(probe => new Map(probe.packages.map(one => [keyOf(one), one.version])))
  return (first?.packages ?? [])
    .filter(one => tables.every(table => table.get(keyOf(one)) === one.version))
    .sort((a, b) => compareText(keyOf(a), keyOf(b)))
}
