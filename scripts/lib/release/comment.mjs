// A comment that holds source code, at the end of a file: what `commentOf` writes, `inComment` reads.

/** What ends a comment, and what stands for it there. */
const end = '*/'
const carriedEnd = '*<end>'

/** Returns the comment, from the line break before it. Throws where the source has the characters that stand for the end of a comment. */
export function commentOf(source) {
  if (source.includes(carriedEnd)) throw new Error(`the source contains ${carriedEnd}`)
  return `\n/*\n${source.replaceAll(end, carriedEnd)}\n*/\n`
}

/** Returns the source in the first such comment of the file's text, and the number of lines before it. */
export function inComment(text) {
  // an expression, because the text of a string would be found in the program itself
  const start = text.search(/\n\/\*\n/) + 4
  const source = text.slice(start, text.lastIndexOf('\n*/')).replaceAll(carriedEnd, end)
  return { source, linesBefore: text.slice(0, start).split('\n').length - 1 }
}
