import { parse } from 'semver'
import { compareVersions } from '../core/debian-version.ts'

/**
 * Compares the versions of two bundles: negative where `a` is the older one. The precedence of semver.org (1.2.0-rc.1 < 1.2.0) where both
 * are semantic versions, else Debian's order (2026.11.1 < 2026.11.1.2), which takes any text. 0 also for versions that differ only in
 * build metadata (1.2.0+a, 1.2.0+b) or leading zeros.
 */
export function compareBundleVersions(a: string, b: string): number {
  const [left, right] = [parse(a), parse(b)]
  return left && right ? left.compare(right) : compareVersions(a, b)
}
