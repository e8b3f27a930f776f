/**
 * One JSON text per value: keys sorted by code unit, no `undefined`, integers only (RFC 8785 as far as we need it).
 * `indent` 0 for what is hashed and stored, 2 for what people review.
 */
export function canonicalJson(value: unknown, indent: 0 | 2 = 0): string {
  return JSON.stringify(sorted(value), null, indent)
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).filter(([, v]) => v !== undefined)
  entries.sort(([a], [b]) => compareText(a, b))
  const result: Record<string, unknown> = Object.create(null)
  for (const [key, v] of entries) result[key] = sorted(v)
  return result
}

/** Order by UTF-16 code units: the same on every machine and in every locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
