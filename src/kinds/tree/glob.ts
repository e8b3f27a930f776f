/**
 * Whether a text is what a pattern says: `*` stands for anything but a slash, `**` for slashes, too; all else stands for
 * itself. Takes time in proportion to pattern times text, whatever they are: as a regular expression, a pattern of many
 * stars would take for ever on a long name.
 */
export function globMatches(pattern: string, text: string): boolean {
  // stars, or one character each
  const parts: string[] = pattern.match(/\*+|./gsu) ?? []
  /** how many parts may have been used up so far */
  let states = skipStars(new Set([0]), parts)
  for (const character of text) {
    const next = new Set<number>()
    for (const state of states) {
      const part = parts[state]
      if (part === undefined) continue
      const star = part.startsWith('*')
      if (star && (part.length > 1 || character !== '/')) next.add(state)
      else if (!star && part === character) next.add(state + 1)
    }
    states = skipStars(next, parts)
    if (states.size === 0) return false
  }
  return states.has(parts.length)
}

/** A star may stand for nothing. */
function skipStars(states: Set<number>, parts: string[]): Set<number> {
  // the set grows while it is walked through
  for (const state of states) if (parts[state]?.startsWith('*')) states.add(state + 1)
  return states
}
