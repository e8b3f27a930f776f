import type { Criterion } from './criteria.ts'

/** What is to be pinned next, as pip's provider prefers (pip 23 and 24.0, `get_preference`): what leaves least choice, then what is nearest. */
export function nextToPin(
  open: readonly (readonly [string, Criterion])[],
  memory: {
    /** what the manifest asks for, in its order */
    order: ReadonlyMap<string, number>
    /** identifiers of the last conflict */
    causes: ReadonlySet<string>
    /** how far from the manifest each was when it was last looked at; kept up to date */
    depths: Map<string, number>
  },
): string {
  const { order, causes, depths } = memory
  let best: { name: string; key: number[] } | undefined
  for (const [name, { wishes }] of open) {
    const parents = wishes.map(({ parent }) => (parent === undefined ? 0 : (depths.get(parent) ?? Infinity)))
    const depth = order.has(name) ? 1 : Math.min(...parents) + 1
    depths.set(name, depth)
    const specifiers = wishes.flatMap(wish => wish.requirement.specifiers)
    const key = [
      wishes.some(wish => wish.exactly !== undefined),
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
