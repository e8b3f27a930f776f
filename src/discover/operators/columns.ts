import type { Defaults } from './rule.ts'

/**
 * Returns the defaults of several images whose versions change together. A row has a word for each name, in order; `-` is none.
 */
export function columns<Name extends string>(
  names: readonly Name[],
  rows: Readonly<Record<string, string>>,
): Record<Name, Defaults> {
  const column = (index: number): Defaults =>
    Object.fromEntries(
      Object.entries(rows).map(([version, row]) => {
        const word = row.split(' ')[index] ?? '-'
        return [version, word === '-' ? '' : word]
      }),
    )
  return Object.fromEntries(names.map((name, index) => [name, column(index)])) as Record<Name, Defaults>
}
