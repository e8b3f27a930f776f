import { parse, SemVer, satisfies } from 'semver'
import type { Compatibility, Rule } from './schema.ts'

/** Component → version, in the notation of its publisher: `v1.28.6`, `3.3.8-1-ubuntu22.04`. */
export type Versions = ReadonlyMap<string, string>

/** The result of a rule for a set of versions. */
export interface Verdict {
  rule: Rule
  /** `unknown`: the rule applies, but the version of a required component is unknown */
  result: 'met' | 'broken' | 'unknown'
  /** the components that the rule compared, with their versions */
  found: { component: string; version: string | undefined; range: string }[]
}

/** Returns the verdict of every rule that applies, that is, whose `when` holds. Pure. */
export function checkVersions({ rules }: Compatibility, versions: Versions): Verdict[] {
  return rules.flatMap(rule => {
    const applies = Object.entries(rule.when).every(([component, range]) =>
      isIn(versions.get(component), range),
    )
    if (!applies) return []
    const needs = Object.entries(rule.needs).map(([component, range]) => ({
      component,
      version: versions.get(component),
      range,
    }))
    const met = (need: (typeof needs)[number]) => isIn(need.version, need.range)
    const isKnown = (need: (typeof needs)[number]) => versionOf(need.version) !== undefined
    const result = needs.every(met)
      ? 'met'
      : needs.some(need => isKnown(need) && !met(need))
        ? 'broken'
        : 'unknown'
    const when = Object.entries(rule.when).map(([component, range]) => ({
      component,
      version: versions.get(component),
      range,
    }))
    return [{ rule, result, found: [...when, ...needs] }]
  })
}

export interface UpgradeStep {
  component: string
  from: string
  to: string
}

/** What an upgrade requires, and in which order. */
export interface UpgradePlan {
  /** in the order in which the components are upgraded */
  steps: UpgradeStep[]
  /** rules that the upgrade breaks; each names what else must change */
  broken: Verdict[]
  /** steps that the rules forbid, each with its reason */
  forbidden: { step: UpgradeStep; why: string }[]
  backupFirst: boolean
}

/** Plans the upgrade from the current versions to the wanted ones. Pure. */
export function planUpgrade(
  compatibility: Compatibility,
  versions: { now: Versions; wanted: Versions },
): UpgradePlan {
  const { upgrade } = compatibility
  const after = new Map([...versions.now, ...versions.wanted])
  const steps = [...versions.wanted]
    .flatMap(([component, to]): UpgradeStep[] => {
      const from = versions.now.get(component)
      return from === undefined || from === to ? [] : [{ component, from, to }]
    })
    .sort((a, b) => place(upgrade.order, a.component) - place(upgrade.order, b.component))
  const forbidden = steps.flatMap(step => {
    const why = whyForbidden(step, upgrade.oneMinorAtATime)
    return why === undefined ? [] : [{ step, why }]
  })
  return {
    steps,
    broken: checkVersions(compatibility, after).filter(verdict => verdict.result === 'broken'),
    forbidden,
    backupFirst: upgrade.backupFirst && steps.length > 0,
  }
}

/** Returns the position in the order of upgrades; a component that it does not name is an application. */
function place(order: string[], component: string): number {
  const found = order.indexOf(component)
  return found >= 0 ? found : order.includes('applications') ? order.indexOf('applications') : order.length
}

function whyForbidden({ component, from, to }: UpgradeStep, oneMinorAtATime: string[]): string | undefined {
  const [old, next] = [versionOf(from), versionOf(to)]
  if (old === undefined || next === undefined) return undefined
  if (next.compare(old) < 0) return 'this is a downgrade'
  if (!oneMinorAtATime.includes(component)) return undefined
  if (next.major === old.major && next.minor <= old.minor + 1) return undefined
  return `minor versions must not be skipped: upgrade to ${old.major}.${old.minor + 1} first`
}

function isIn(written: string | undefined, range: string): boolean {
  const version = versionOf(written)
  return version !== undefined && satisfies(version, range)
}

/**
 * Parses `v1.28.6`, `3.3.8-1-ubuntu22.04`, `535.129.03`: the first three numbers are the version, the rest is packaging. A
 * pre-release of semantic versioning (`1.29.0-rc.1`) stays one, and is in no range.
 */
function versionOf(written: string | undefined): SemVer | undefined {
  if (written === undefined) return undefined
  const exact = parse(written)
  if (exact !== null && /^(?:alpha|beta|rc)/.test(String(exact.prerelease[0] ?? ''))) return exact
  // semver's coerce() rejects the leading zero in the driver's `535.129.03`
  const numbers = /(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?/.exec(written)?.slice(1, 4)
  return numbers === undefined ? undefined : new SemVer(numbers.map(part => Number(part ?? 0)).join('.'))
}
