/**
 * Returns the parts of a text from each `start` to the next `end`, both included, in order. Other than `/start[\s\S]*?end/g`, it does not look
 * for the end again from every start where there is none (CWE-1333).
 */
export function spansOf(text: string, { start, end }: { start: string; end: string }): string[] {
  const spans: string[] = []
  for (let from = text.indexOf(start); from >= 0; from = text.indexOf(start, from)) {
    const at = text.indexOf(end, from + start.length)
    if (at < 0) break
    spans.push(text.slice(from, at + end.length))
    from = at + end.length
  }
  return spans
}
