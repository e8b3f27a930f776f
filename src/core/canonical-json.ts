/**
 * Returns the one JSON text of a value: keys sorted by code unit, no `undefined`, integers only (a subset of RFC 8785).
 * `indent`: 0 for text that is hashed or stored, 2 for text that people review.
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

/** Compares by UTF-16 code units: the order is the same on every machine and in every locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
