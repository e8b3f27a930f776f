import { compareText } from '../core/canonical-json.ts'

export interface Page {
  names: string[]
  /** the `last` of the next page; undefined on the last page */
  next?: string
}

/**
 * Returns one page of a sorted list: at most `n` entries after `last`, which need not be in the list (distribution-spec v1.1, "Listing
 * Tags").
 */
export function pageOf(sorted: readonly string[], { n, last }: { n?: number; last?: string }): Page {
  const start = last === undefined ? 0 : firstAfter(sorted, last)
  const names = sorted.slice(start, n === undefined ? undefined : start + n)
  const next = names.at(-1)
  return next !== undefined && start + names.length < sorted.length ? { names, next } : { names }
}

/** Compares in "lexical order (i.e. case-insensitive alphanumeric order)" (distribution-spec v1.1). */
export function compareNames(a: string, b: string): number {
  return compareText(a.toLowerCase(), b.toLowerCase()) || compareText(a, b)
}

function firstAfter(sorted: readonly string[], last: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareNames(sorted[middle] ?? '', last) <= 0) low = middle + 1
    else high = middle
  }
  return low
}
