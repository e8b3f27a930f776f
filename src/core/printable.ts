/**
 * Characters of texts from elsewhere that must not reach a terminal: control characters start escape sequences, which move the cursor,
 * hide text or, in some terminals, type commands (CWE-150); bidirectional controls reorder what is shown (CVE-2021-42574). Line
 * separators and lone surrogates are not text of one line either.
 */
const unsafe = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}]/gu

/** Returns the text with unsafe characters other than line feeds escaped: `\x1b`, `\u202e`. */
export function printable(text: string): string {
  return text.replace(unsafe, character => (character === '\n' ? character : escaped(character)))
}

/** Returns JSON text with the unsafe characters that JSON allows in strings escaped: the value stays the same. */
export function printableJson(json: string): string {
  return json.replace(unsafe, character =>
    /[\n\r\t]/.test(character) ? character : `\\u${codeOf(character).padStart(4, '0')}`,
  )
}

/**
 * Returns the text as one line of at most `maxLength` characters: colours (SGR) and erased lines (EL) are removed, line ends become
 * spaces, other unsafe characters U+FFFD.
 */
export function printableLine(text: string, maxLength: number): string {
  return text
    .slice(0, 4 * maxLength)
    .replace(/\u001b\[[0-9;]*[mK]/g, '')
    .replaceAll('\t', '  ')
    .replace(/[\r\n]+/g, ' ')
    .replace(unsafe, '\ufffd')
    .slice(0, maxLength)
    .replace(/[\ud800-\udbff]$/, '')
}

function escaped(character: string): string {
  const code = codeOf(character)
  return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u${code.padStart(4, '0')}`
}

function codeOf(character: string): string {
  return character.charCodeAt(0).toString(16)
}
