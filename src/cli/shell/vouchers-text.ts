import type { DescribedItem } from '../../kinds/items.ts'

/** Who vouches for the digests of these items, and for how many: one line each, indented. */
export function vouchersText(items: readonly Pick<DescribedItem, 'kind' | 'vouchedBy'>[]): string[] {
  const groups = Map.groupBy(items, ({ kind, vouchedBy }) => `${kind.padEnd(6)}\0${vouchedBy}`)
  const rows = [...groups].map(([key, own]) => {
    const [kind, vouchedBy] = key.split('\0')
    return `    ${kind} ${String(own.length).padStart(6)}  ${vouchedBy}`
  })
  return rows.length === 0 ? [] : ['  digests vouched for by', ...rows]
}
