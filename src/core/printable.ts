/**
 * Characters of texts from elsewhere that must not reach a terminal: control characters start escape sequences, which move the cursor,
 * hide text or, in some terminals, type commands (CWE-150); bidirectional controls reorder what is shown (CVE-2021-42574); characters
 * without width make two names look alike. Line separators and lone surrogates are not text of one line either.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu

/** Returns the text with unsafe characters other than line feeds escaped: `\x1b`, `\u202e`. For texts whose lines are our own. */
export function printable(text: string): string {
  return text.replace(unsafe, character => (character === '\n' ? character : escaped(character)))
}

/**
 * Returns the text as one line, unsafe characters escaped. For every field of a message and of a listing: a line end in a name would print
 * a line that looks like ours, such as `next: run this as root` (fault 120).
 */
export function oneLine(text: string): string {
  return text.replace(unsafe, escaped)
}

/** Returns JSON text with the unsafe characters that JSON allows in strings escaped: the value stays the same. */
export function printableJson(json: string): string {
  return json.replace(unsafe, character =>
    /[\n\r\t]/.test(character)
      ? character
      : Array.from({ length: character.length }, (_, i) => `\\u${hex(character.charCodeAt(i), 4)}`).join(''),
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
  if (character === '\n') return '\\n'
  const code = character.codePointAt(0) ?? 0
  if (code <= 0xff) return `\\x${hex(code, 2)}`
  return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 5)}}`
}

function hex(code: number, width: number): string {
  return code.toString(16).padStart(width, '0')
}
