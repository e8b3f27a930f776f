import type { Lock } from '../lock/schema.ts'
import { kinds } from './index.ts'
import type { ItemSummary } from './kind.ts'
import type { PackageSet } from './package-set.ts'

/** What people read of the items of a lock. Each function throws LOCK_INVALID for an item that its kind cannot read. */

export type DescribedItem = { kind: string } & ItemSummary

/** What `inspect` and `plan` show, kind by kind. */
export function describeLock(lock: Lock): Omit<DescribedItem, 'locked'>[] {
  return itemsWithFacts(lock).map(({ locked, ...item }) => item)
}

/** The same with everything that the lock records about each item, for `diff`. */
export function itemsWithFacts(lock: Lock): DescribedItem[] {
  return kinds.flatMap(kind =>
    kind.describe(lock.items[kind.name] ?? []).map(item => ({ kind: kind.name, ...item })),
  )
}

/** The closures of packages, each with the summaries of its packages. */
export function packageSets(lock: Lock): (PackageSet & { items: ItemSummary[] })[] {
  return kinds.flatMap(kind => kind.packageSets(lock.items[kind.name] ?? []))
}
