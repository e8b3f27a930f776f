/** Patterns of excludepkgs and of package names: `*` and `?`, matched in linear time. */
export function isGlob(text: string): boolean {
  return text.includes('*') || text.includes('?')
}

export function globMatcher(pattern: string): (text: string) => boolean {
  return text => {
    let p = 0
    let star = -1
    let from = 0
    for (let t = 0; t < text.length; ) {
      if (p < pattern.length && pattern[p] !== '*' && (pattern[p] === '?' || pattern[p] === text[t])) {
        p++
        t++
      } else if (pattern[p] === '*') {
        star = p++
        from = t
      } else if (star >= 0) {
        p = star + 1
        t = ++from
      } else return false
    }
    while (pattern[p] === '*') p++
    return p === pattern.length
  }
}
