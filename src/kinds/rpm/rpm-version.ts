/** `[epoch:]version[-release]` of a package, in parts. */
export interface Evr {
  epoch: string
  version: string
  release: string
}

/** Compares epoch, then version, then release (rpmvercmp, rpm's lib/rpmvercmp.c). */
export function compareEvr(a: Evr, b: Evr): number {
  return (
    compareSegments(a.epoch || '0', b.epoch || '0') ||
    compareSegments(a.version, b.version) ||
    compareSegments(a.release, b.release)
  )
}

export function compareSegments(a: string, b: string): number {
  if (a === b) return 0
  let i = 0
  let j = 0
  const isAlnum = (c: string) => /[0-9A-Za-z]/.test(c)
  const isDigit = (c: string) => c >= '0' && c <= '9'
  while (i < a.length || j < b.length) {
    while (i < a.length && !isAlnum(a[i]!) && a[i] !== '~' && a[i] !== '^') i++
    while (j < b.length && !isAlnum(b[j]!) && b[j] !== '~' && b[j] !== '^') j++
    if (a[i] === '~' || b[j] === '~') {
      if (a[i] !== '~') return 1
      if (b[j] !== '~') return -1
      i++
      j++
      continue
    }
    if (a[i] === '^' || b[j] === '^') {
      if (i >= a.length) return -1
      if (j >= b.length) return 1
      if (a[i] !== '^') return 1
      if (b[j] !== '^') return -1
      i++
      j++
      continue
    }
    if (i >= a.length || j >= b.length) break
    const digits = isDigit(a[i]!)
    const si = i
    const sj = j
    const same = (c: string) => (digits ? isDigit(c) : /[A-Za-z]/.test(c))
    while (i < a.length && same(a[i]!)) i++
    while (j < b.length && same(b[j]!)) j++
    if (sj === j) return digits ? 1 : -1
    let one = a.slice(si, i)
    let other = b.slice(sj, j)
    if (digits) {
      one = one.replace(/^0+/, '')
      other = other.replace(/^0+/, '')
      if (one.length !== other.length) return one.length > other.length ? 1 : -1
    }
    if (one !== other) return one < other ? -1 : 1
  }
  if (i >= a.length && j >= b.length) return 0
  return i >= a.length ? -1 : 1
}
