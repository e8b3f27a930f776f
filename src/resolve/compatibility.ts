import { checkVersions, type Versions } from '../compat/check.ts'
import { loadCompatibility } from '../compat/load.ts'
import { refuseBroken } from '../compat/refuse.ts'
import type { Compatibility } from '../compat/schema.ts'
import { type FalseClaim, falseClaims, type StackContent, versionsOf } from '../compat/versions.ts'
import { chosenByHelm } from '../core/chart-version.ts'
import { formatReference } from '../core/reference.ts'
import { lockedChartSchema } from '../kinds/chart/locked.ts'
import { lockedDebsSchema } from '../kinds/deb/locked.ts'
import { lockedRpmsSchema } from '../kinds/rpm/locked.ts'
import { lockedWheelsSchema } from '../kinds/wheel/locked.ts'
import type { Lock, LockItem } from '../lock/schema.ts'
import type { StackManifest } from '../manifest/stack.ts'

/** Returns the versions that the manifest names, and those that its lock resolved. */
export function stackVersions(
  rules: Compatibility,
  { manifest, locked }: { manifest: StackManifest; locked: Lock['items'] },
): Versions {
  return versionsOf(rules, contentOf({ manifest, locked }))
}

/** The declared versions that the lock does not have. */
export function stackFalseClaims(
  rules: Compatibility,
  stack: { manifest: StackManifest; locked: Lock['items'] },
): FalseClaim[] {
  return falseClaims(rules, contentOf(stack))
}

function contentOf({ manifest, locked }: { manifest: StackManifest; locked: Lock['items'] }): StackContent {
  return {
    images: manifest.images.map(image => formatReference(image.reference)),
    charts: manifest.charts.map(chart => chosenVersion(chart, locked['chart'] ?? [])),
    wheels: (locked['wheel'] ?? []).flatMap(item => lockedWheelsSchema.parse(item).distributions),
    packages: [
      ...(locked['deb'] ?? []).flatMap(item => lockedDebsSchema.parse(item).packages).map(upstreamVersion),
      ...(locked['rpm'] ?? []).flatMap(item => lockedRpmsSchema.parse(item).packages),
    ],
    declared: manifest.versions,
  }
}

/** Without Debian's epoch and revision: `2:535.129.03-0ubuntu0.22.04.1` is 535.129.03. */
function upstreamVersion({ name, version }: { name: string; version: string }) {
  return { name, version: version.replace(/^\d+:/, '').replace(/-[^-]*$/, '') }
}

/** The manifest may have a constraint; the lock has the version that was chosen for it. */
function chosenVersion<T extends { name: string; version: string }>(
  chart: T,
  locked: readonly LockItem[],
): T {
  const named = locked.map(item => lockedChartSchema.parse(item)).filter(item => item.chart === chart.name)
  const chosen = chosenByHelm(named, chart.version)
  return chosen === undefined ? chart : { ...chart, version: chosen.version }
}

/**
 * Checks the compatibility rules and adds them to the lock, so that the site can check them again. They hold for the versions that the
 * manifest declares, and for those that the lock has in their place, which are reported. Throws INCOMPATIBLE.
 */
export async function withCompatibility(
  lock: Lock,
  manifest: StackManifest,
  note: (text: string) => void,
): Promise<Lock> {
  if (manifest.compatibility === undefined) return lock
  const rules = await loadCompatibility(manifest.compatibility)
  const stack = { manifest, locked: lock.items }
  const versions = stackVersions(rules, stack)
  refuseBroken(checkVersions(rules, versions), manifest.compatibility)
  for (const claim of stackFalseClaims(rules, stack)) {
    note(falseClaimText(claim))
    for (const carried of claim.carried)
      refuseBroken(
        checkVersions(rules, new Map(versions).set(claim.component, carried)),
        manifest.compatibility,
      )
  }
  return { ...lock, compatibility: { rules, versions: Object.fromEntries(versions) } }
}

export function falseClaimText({ component, declared, carried }: FalseClaim): string {
  return `versions: of the manifest says ${component} ${declared}, but the lock has ${carried.join(', ')}: pin the package, or correct the version`
}
