/** Messages of the YAML parser → what a person has to change. The first match counts; it quotes nothing of the text. */
const words: readonly (readonly [RegExp, string])[] = [
  [/^Maximum call stack/, 'nested too deeply'],
  [/^Tabs are not allowed/, 'the line is indented with a tab: use spaces'],
  [
    /^Nested mappings are not allowed/,
    'a second ": " on one line: put the value in quotes, or the inner key on a line of its own',
  ],
  [
    /^Implicit map keys need to be followed by map values/,
    'text without a colon where a key is expected: write "key: value", or check the indentation',
  ],
  [
    /^Implicit keys need to be on a single line/,
    'a key that continues on the next line: is a colon or a quote missing?',
  ],
  [/^All mapping items must start at the same column/, 'the keys of one map must be indented alike'],
  [
    /^All sequence items must start at the same column/,
    'the elements of one list ("- ") must be indented alike',
  ],
  [/^Sequence item without - indicator/, 'an element of a list must begin with "- ": check the indentation'],
  [
    /^A block sequence may not be used/,
    'a list element ("- ") where a key is expected: check the indentation',
  ],
  [/^Flow (?:sequence|end).*\]|^Flow sequence/, 'the list in brackets is not closed: "]" is missing'],
  [/^Flow map.*\}|^Flow map/, 'the map in braces is not closed: "}" is missing'],
  [/^Flow end indicator/, 'the closing bracket must be indented more than the key'],
  [/^Missing closing "/, "the text in double quotes is not closed: '\"' is missing"],
  [/^Missing closing '/, 'the text in single quotes is not closed: "\'" is missing'],
  [/^Missing , (?:or : )?between/, 'a comma is missing between two elements'],
  [/^Missing space after :/, 'a space is missing after the colon'],
  [/^Unexpected (?:,|empty item)/, 'a comma without an element before it'],
  [/^Plain value cannot start with/, 'text that begins with this character must be in quotes'],
  [
    /^Invalid escape sequence/,
    'an invalid escape in double quotes: write \\\\ for a backslash, or use single quotes',
  ],
  [/^Comments must be separated/, 'a space is missing before "#"'],
  [/^Block scalar (?:lines|values)/, 'the lines of the text block must be indented more than their key'],
  [
    /^Block scalars with more-indented/,
    'the first line of the text block is blank and indented: remove its spaces',
  ],
  [/^Block scalar header includes/, 'nothing but a comment can follow "|" or ">" on its line'],
  [/^Block collections are not allowed/, 'a ": " inside brackets or braces: put the value in quotes'],
  [/^Unresolved tag/, 'tags ("!name") are not supported'],
  [
    /^Unexpected .* at node end|^Unexpected (?:scalar|.* token)/,
    'unexpected text after the value: is a quote, a comma or a line break missing?',
  ],
]

/** Returns the words for a message of the parser. */
export function yamlWords(code: string, message: string): string {
  if (code === 'MULTIPLE_DOCS') return 'several YAML documents in one file'
  if (code === 'RESOURCE_EXHAUSTION') return 'nested too deeply'
  const known = words.find(([pattern]) => pattern.test(message))
  // the first line, without its place and without what follows a colon or a backslash: that is text of the file
  return known?.[1] ?? message.split(/\n|(?<=\w): | at line \d|\\/)[0] ?? 'not valid YAML'
}

/** Messages whose place is the end of the text: a person looks for the bracket or quote that was opened. */
export function isUnclosed(message: string): boolean {
  return /^Flow (?:sequence|map)|^Missing closing/.test(message)
}
