/**
 * The parser of helm and kubectl takes the lines of a quoted text at any indentation; YAML 1.2 (7.3) and our parser require one that is
 * deeper than the key's. Leading blanks of these lines are not part of the text, so that adding some changes nothing else. Returns the
 * document with the lines of the quoted text at `offset` indented; undefined if there is none that spans lines and ends.
 */
export function indentQuotedLines(text: string, offset: number): string | undefined {
  const end = endOfQuoted(text, offset)
  if (end === undefined) return undefined
  const quoted = text.slice(offset, end)
  if (!quoted.includes('\n')) return undefined
  const column = offset - (text.lastIndexOf('\n', offset) + 1)
  const indented = quoted.replaceAll('\n', `\n${' '.repeat(column + 1)}`)
  return text.slice(0, offset) + indented + text.slice(end)
}

function endOfQuoted(text: string, offset: number): number | undefined {
  const quote = text[offset]
  if (quote !== "'" && quote !== '"') return undefined
  for (let i = offset + 1; i < text.length; i++) {
    const doubled = quote === "'" && text[i] === quote && text[i + 1] === quote
    if (doubled || (quote === '"' && text[i] === '\\')) i++
    else if (text[i] === quote) return i + 1
  }
  return undefined
}
