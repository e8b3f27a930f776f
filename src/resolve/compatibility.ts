import { checkVersions, type Versions } from '../compat/check.ts'
import { loadCompatibility } from '../compat/load.ts'
import { refuseBroken } from '../compat/refuse.ts'
import type { Compatibility } from '../compat/schema.ts'
import { versionsOf } from '../compat/versions.ts'
import { formatReference } from '../core/reference.ts'
import { lockedChartSchema } from '../kinds/chart/locked.ts'
import { parseChartVersion, parseConstraint } from '../kinds/chart/version-constraint.ts'
import { lockedWheelsSchema } from '../kinds/wheel/locked.ts'
import type { Lock, LockItem } from '../lock/schema.ts'
import type { StackManifest } from '../manifest/stack.ts'

/** Returns the versions that the manifest names, and those that its lock resolved. */
export function stackVersions(
  rules: Compatibility,
  { manifest, locked }: { manifest: StackManifest; locked: Lock['items'] },
): Versions {
  return versionsOf(rules, {
    images: manifest.images.map(image => formatReference(image.reference)),
    charts: manifest.charts.map(chart => chosenVersion(chart, locked['chart'] ?? [])),
    wheels: (locked['wheel'] ?? []).flatMap(item => lockedWheelsSchema.parse(item).distributions),
    declared: manifest.versions,
  })
}

/** The manifest may have a constraint; the lock has the version that was chosen for it. */
function chosenVersion<T extends { name: string; version: string }>(
  chart: T,
  locked: readonly LockItem[],
): T {
  const constraint = parseConstraint(chart.version)
  const chosen = locked
    .map(item => lockedChartSchema.parse(item))
    .find(item => {
      const version = parseChartVersion(item.version)
      return item.chart === chart.name && version !== undefined && constraint?.(version)
    })
  return chosen === undefined ? chart : { ...chart, version: chosen.version }
}

/** Checks the compatibility rules and adds them to the lock, so that the site can check them again. Throws INCOMPATIBLE. */
export async function withCompatibility(lock: Lock, manifest: StackManifest): Promise<Lock> {
  if (manifest.compatibility === undefined) return lock
  const rules = await loadCompatibility(manifest.compatibility)
  const versions = stackVersions(rules, { manifest, locked: lock.items })
  refuseBroken(checkVersions(rules, versions), manifest.compatibility)
  return { ...lock, compatibility: { rules, versions: Object.fromEntries(versions) } }
}
