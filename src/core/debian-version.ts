/**
 * Debian version comparison: deb-version(7) "Sorting algorithm".
 * Accepts any text: an invalid version is compared, too, so that one bad stanza cannot block a whole archive.
 */
export function compareVersions(a: string, b: string): number {
  if (a === b) return 0
  const left = splitVersion(a)
  const right = splitVersion(b)
  return (
    compareNumbers(left.epoch, right.epoch) ||
    comparePart(left.upstream, right.upstream) ||
    comparePart(left.revision, right.revision)
  )
}

/** `[epoch:]upstream[-revision]`; a missing epoch is 0, a missing revision is empty, which equals `0`. */
export function splitVersion(version: string): { epoch: string; upstream: string; revision: string } {
  const colon = version.indexOf(':')
  const epoch = colon > 0 ? version.slice(0, colon) : '0'
  const rest = version.slice(colon + 1)
  const dash = rest.lastIndexOf('-')
  return dash < 0
    ? { epoch, upstream: rest, revision: '' }
    : { epoch, upstream: rest.slice(0, dash), revision: rest.slice(dash + 1) }
}

/** Whether a requested `=version` has only the characters of deb-version(7). */
export function isVersion(text: string): boolean {
  return /^(?:[0-9]+:)?[0-9A-Za-z][0-9A-Za-z.+~:-]*$/.test(text)
}

const isDigit = (code: number) => code >= 48 && code <= 57

/** Weight of one character of a non-digit stretch: `~` < end of part (or a digit) < letters < everything else. */
function weight(text: string, index: number): number {
  if (index >= text.length) return 0
  const code = text.charCodeAt(index)
  if (isDigit(code)) return 0
  if (code === 126) return -1
  const isLetter = (code >= 65 && code <= 90) || (code >= 97 && code <= 122)
  return isLetter ? code : code + 256
}

function comparePart(a: string, b: string): number {
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a.charCodeAt(i))) || (j < b.length && !isDigit(b.charCodeAt(j)))) {
      const difference = weight(a, i) - weight(b, j)
      if (difference !== 0) return Math.sign(difference)
      i++
      j++
    }
    const [startA, startB] = [i, j]
    while (i < a.length && isDigit(a.charCodeAt(i))) i++
    while (j < b.length && isDigit(b.charCodeAt(j))) j++
    const difference = compareNumbers(a.slice(startA, i), b.slice(startB, j))
    if (difference !== 0) return difference
  }
  return 0
}

/** Decimal numbers of any length, as dates and hashes in versions exceed 2^53. */
function compareNumbers(a: string, b: string): number {
  if (a === b) return 0
  const left = a.startsWith('0') ? a.replace(/^0+/, '') : a
  const right = b.startsWith('0') ? b.replace(/^0+/, '') : b
  if (left.length !== right.length) return left.length < right.length ? -1 : 1
  return left < right ? -1 : left > right ? 1 : 0
}
