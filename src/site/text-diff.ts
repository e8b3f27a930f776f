import { maskedLines } from '../core/secret-lines.ts'

/** Lines compared at most; of larger differences only their number is reported. */
const maxLines = 2_000

/**
 * Returns the changed lines of two YAML texts, marked `-` and `+` with their line numbers, without context. Values files hold
 * secrets: those are masked, and so are lines without a key, which may be part of one.
 */
export function diffText(before: string, after: string): string {
  const a = lines(before)
  const b = lines(after)
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let end = 0
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end])
    end++
  const removed = a.slice(start, a.length - end)
  const added = b.slice(start, b.length - end)
  if (removed.length > maxLines || added.length > maxLines) {
    return `lines ${start + 1} to ${a.length - end} differ (${removed.length} before, ${added.length} now)`
  }
  const shown = { '-': masked(before), '+': masked(after) }
  return changes(removed, added)
    .map(({ sign, at }) => `${sign} ${start + at + 1}: ${shown[sign][start + at]}`)
    .join('\n')
}

function lines(text: string): string[] {
  return text.split('\n')
}

/** Masked by the whole text: a secret may have started above the first changed line. */
function masked(text: string): string[] {
  return maskedLines(lines(text), { mask: '…', keyless: 'mask' }).map(
    line => line?.replace(/\r$/, '␍') ?? '…',
  )
}

interface Change {
  sign: '-' | '+'
  at: number
}

/** Longest common subsequence by dynamic programming: the texts are short by now. */
function changes(a: string[], b: string[]): Change[] {
  const width = b.length + 1
  const common = new Uint16Array((a.length + 1) * width)
  const at = (i: number, j: number) => common[i * width + j] ?? 0
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const found: Change[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      i++
      j++
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
      found.push({ sign: '-', at: i })
      i++
    } else {
      found.push({ sign: '+', at: j })
      j++
    }
  }
  return found
}
