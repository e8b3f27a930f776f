/**
 * Returns the text without the given characters at its end. It takes one pass; `replace(/\/+$/, '')` looks from every slash for the end
 * of the text, which takes quadratic time where upstream sends nothing but slashes (CWE-407, fault 109).
 */
export function withoutTrailing(text: string, characters: string): string {
  let end = text.length
  while (end > 0 && characters.includes(text[end - 1]!)) end--
  return text.slice(0, end)
}
