/** Lines compared at most; larger differences are told as a number. */
const maxLines = 2_000

const secretKey = /pass(word|wd|phrase)?|secret|token|credential|private|apikey|api_key|auth|cert|kubeconfig/i

/**
 * The changed lines of two texts, `-` and `+` with line numbers, no context: values files hold secrets. What looks like one
 * is masked: a value whose key says so, and lines that are neither key, list item nor comment (a part of a longer text).
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
    return `lines ${start + 1} to ${a.length - end} are others (${removed.length} before, ${added.length} now)`
  }
  return changes(removed, added)
    .map(({ sign, line, at }) => `${sign} ${start + at + 1}: ${masked(line)}`)
    .join('\n')
}

function lines(text: string): string[] {
  return text.split('\n').map(line => line.replace(/\r$/, '␍'))
}

interface Change {
  sign: '-' | '+'
  line: string
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
      found.push({ sign: '-', line: a[i] ?? '', at: i })
      i++
    } else {
      found.push({ sign: '+', line: b[j] ?? '', at: j })
      j++
    }
  }
  return found
}

function masked(line: string): string {
  if (line.trim() === '') return line
  if (/^\s*#/.test(line)) return secretKey.test(line) ? '# …' : line
  const key = /^(\s*(?:- )?["']?[\w./-]+["']?\s*:)(\s|$)/.exec(line)
  if (key?.[1] === undefined) return '…'
  return secretKey.test(line) ? `${key[1]} …` : line
}
