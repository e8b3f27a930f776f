import { distance } from 'fastest-levenshtein'

/**
 * Returns up to `max` (3) of `names` that a person who wrote `name` may have meant, the nearest first: those at most two edits
 * away (one for names shorter than five letters; two swapped letters and a change of case count as less than one). With
 * `sameStart`, names that begin alike follow: `libssl` for `libssl3`, `kernel` for `kernel-core`.
 */
export function nearNames(
  name: string,
  names: Iterable<string>,
  { max = 3, sameStart = false }: { max?: number; sameStart?: boolean } = {},
): string[] {
  const limit = name.length < 5 ? 1 : 2
  const near: { name: string; edits: number }[] = []
  for (const other of names) {
    if (other === name) continue
    if (Math.abs(other.length - name.length) <= limit) {
      const edits = editsBetween(name, other)
      if (edits <= limit) {
        near.push({ name: other, edits })
        continue
      }
    }
    // after those that are a few edits away
    if (sameStart && beginsAlike(name, other))
      near.push({ name: other, edits: limit + Math.abs(other.length - name.length) })
  }
  near.sort((a, b) => a.edits - b.edits || (a.name < b.name ? -1 : 1))
  return near.slice(0, max).map(one => one.name)
}

/** Levenshtein distance, but less than 1 for the most common typing errors, which it counts as more. */
function editsBetween(a: string, b: string): number {
  if (a.toLowerCase() === b.toLowerCase() || isSwapped(a, b)) return 0.5
  return distance(a, b)
}

/** Whether the two differ in one pair of neighbouring letters that changed places. */
function isSwapped(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  let i = 0
  while (i < a.length && a[i] === b[i]) i++
  return a[i] === b[i + 1] && a[i + 1] === b[i] && a.slice(i + 2) === b.slice(i + 2)
}

function beginsAlike(a: string, b: string): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a]
  return short.length > 3 && long.startsWith(short)
}
