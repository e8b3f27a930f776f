import { AirgapError } from '../core/errors.ts'

/** Replaces `[start, end)` of a text; offsets count UTF-16 units, as those of the parser do. */
export interface Edit {
  start: number
  end: number
  text: string
}

/**
 * Returns the text with all edits applied; those at one offset come out in the order given. Throws INTERNAL where two overlap:
 * the offsets of the second would be those of another text.
 */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const pieces: string[] = []
  let done = 0
  for (const edit of edits.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    if (edit.start < done || edit.end < edit.start || edit.end > text.length)
      throw new AirgapError('INTERNAL', 'edits of a text overlap', { item: `offset ${edit.start}` })
    pieces.push(text.slice(done, edit.start), edit.text)
    done = edit.end
  }
  return pieces.join('') + text.slice(done)
}

/** Offset of the line that `at` is in; a byte order mark is before the first line. */
export function lineStart(text: string, at: number): number {
  const start = at === 0 ? 0 : text.lastIndexOf('\n', at - 1) + 1
  return start === 0 && text.startsWith('\uFEFF') ? 1 : start
}

/** Offset after the line end of the line that `at` is in; `at` itself where it follows a line end already. */
export function lineEnd(text: string, at: number): number {
  if (at > 0 && text[at - 1] === '\n') return at
  const newline = text.indexOf('\n', at)
  return newline < 0 ? text.length : newline + 1
}

/** The line end of the first text that has one; LF where none does. */
export function eolOf(...texts: string[]): string {
  for (const text of texts) {
    const newline = text.indexOf('\n')
    if (newline >= 0) return text[newline - 1] === '\r' ? '\r\n' : '\n'
  }
  return '\n'
}
