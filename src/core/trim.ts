/**
 * Returns the text without the given characters at its end. It takes one pass; `replace(/\/+$/, '')` looks from every slash for the end
 * of the text, which takes quadratic time where upstream sends nothing but slashes (CWE-407, fault 109).
 */
export function withoutTrailing(text: string, characters: string): string {
  let end = text.length
  while (end > 0 && characters.includes(text[end - 1]!)) end--
  return text.slice(0, end)
}

/** Returns the text before the first of the marks, or all of it: `name` of `name@digest`. Takes one pass, like `withoutTrailing`. */
export function textBefore(text: string, marks: string): string {
  for (let at = 0; at < text.length; at++) if (marks.includes(text[at]!)) return text.slice(0, at)
  return text
}
