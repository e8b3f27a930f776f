import { checkVersions, type Versions } from '../compat/check.ts'
import { loadCompatibility } from '../compat/load.ts'
import { refuseBroken } from '../compat/refuse.ts'
import type { Compatibility } from '../compat/schema.ts'
import { versionsOf } from '../compat/versions.ts'
import { formatReference } from '../core/reference.ts'
import { lockedWheelsSchema } from '../kinds/wheel/locked.ts'
import type { Lock, LockItem } from '../lock/schema.ts'
import type { StackManifest } from '../manifest/stack.ts'

/** Returns the versions that the manifest names, and those that its lock resolved. */
export function stackVersions(
  rules: Compatibility,
  { manifest, wheels }: { manifest: StackManifest; wheels: readonly LockItem[] },
): Versions {
  return versionsOf(rules, {
    images: manifest.images.map(image => formatReference(image.reference)),
    charts: manifest.charts,
    wheels: wheels.flatMap(item => lockedWheelsSchema.parse(item).distributions),
    declared: manifest.versions,
  })
}

/** Checks the compatibility rules and adds them to the lock, so that the site can check them again. Throws INCOMPATIBLE. */
export async function withCompatibility(lock: Lock, manifest: StackManifest): Promise<Lock> {
  if (manifest.compatibility === undefined) return lock
  const rules = await loadCompatibility(manifest.compatibility)
  const versions = stackVersions(rules, { manifest, wheels: lock.items['wheel'] ?? [] })
  refuseBroken(checkVersions(rules, versions), manifest.compatibility)
  return { ...lock, compatibility: { rules, versions: Object.fromEntries(versions) } }
}
