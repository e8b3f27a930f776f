import type { Criterion } from './criteria.ts'

/** Chooses the identifier to pin next as pip's provider does (`get_preference` of pip 23 and 24.0): the most constrained, then the nearest to the manifest. */
export function nextToPin(
  open: readonly (readonly [string, Criterion])[],
  memory: {
    /** identifiers of the manifest, in its order */
    order: ReadonlyMap<string, number>
    /** identifiers of the last conflict */
    causes: ReadonlySet<string>
    /** distance from the manifest at the last look; kept up to date */
    depths: Map<string, number>
  },
): string {
  const { order, causes, depths } = memory
  let best: { name: string; key: number[] } | undefined
  for (const [name, { information }] of open) {
    const parents = information.map(({ parent }) =>
      parent === undefined ? 0 : (depths.get(parent) ?? Infinity),
    )
    const depth = order.has(name) ? 1 : Math.min(...parents) + 1
    depths.set(name, depth)
    const specifiers = information.flatMap(one => one.requirement.specifiers)
    const key = [
      information.some(one => one.exactly !== undefined),
      specifiers.some(({ operator }) => operator === '==' || operator === '==='),
      causes.has(name),
    ].map((is): number => (is ? 0 : 1))
    key.push(depth, order.get(name) ?? Infinity, specifiers.length > 0 ? 0 : 1)
    if (best === undefined || isLess({ name, key }, best)) best = { name, key }
  }
  return best!.name
}

function isLess(a: { name: string; key: number[] }, b: { name: string; key: number[] }): boolean {
  for (const [i, value] of a.key.entries()) {
    const other = b.key[i]!
    if (value !== other) return value < other
  }
  return a.name < b.name
}
