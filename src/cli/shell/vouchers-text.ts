import type { DescribedItem } from '../../kinds/items.ts'

type Vouched = Pick<DescribedItem, 'kind' | 'vouchedBy'>

/** Who vouches for the digests of these items, and for how many of each kind. */
export function vouchersOf(items: readonly Vouched[]): { kind: string; vouchedBy: string; items: number }[] {
  const groups = Map.groupBy(items, ({ kind, vouchedBy }) => JSON.stringify([kind, vouchedBy]))
  return [...groups.values()].map(own => ({
    kind: own[0]!.kind,
    vouchedBy: own[0]!.vouchedBy,
    items: own.length,
  }))
}

/** The same as text: one line each, indented. */
export function vouchersText(items: readonly Vouched[]): string[] {
  const rows = vouchersOf(items).map(
    ({ kind, vouchedBy, items: count }) => `    ${kind.padEnd(6)} ${String(count).padStart(6)}  ${vouchedBy}`,
  )
  return rows.length === 0 ? [] : ['  digests vouched for by', ...rows]
}
