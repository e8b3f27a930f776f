import { Tokenizer, TokenizerMode } from 'parse5'

/** The anchors of an HTML page, in order, each with its attributes, decoded; a bare attribute has the value ''. */
export interface HtmlLinks {
  /** of the first `<base>` that has one */
  baseHref: string | undefined
  anchors: ReadonlyMap<string, string>[]
}

/** Elements whose content is text, not markup (HTML Living Standard, section 13.2.6, "text" insertion mode). */
const textElements = new Map<string, (typeof TokenizerMode)[keyof typeof TokenizerMode]>([
  ['script', TokenizerMode.SCRIPT_DATA],
  ['style', TokenizerMode.RAWTEXT],
  ['title', TokenizerMode.RCDATA],
  ['textarea', TokenizerMode.RCDATA],
])

/**
 * Reads the links of an index page as pip does: tokens, no tree. The tokenizer takes linear time; building the tree of a page that
 * nests elements on purpose takes quadratic time (CWE-407).
 */
export function htmlLinks(text: string): HtmlLinks {
  const found: { baseHref: string | undefined; anchors: ReadonlyMap<string, string>[] } = {
    baseHref: undefined,
    anchors: [],
  }
  const nothing = () => undefined
  const tokenizer: Tokenizer = new Tokenizer(
    { sourceCodeLocationInfo: false },
    {
      onStartTag({ tagName, attrs }) {
        const mode = textElements.get(tagName)
        if (mode !== undefined) tokenizer.state = mode
        if (tagName === 'a') found.anchors.push(new Map(attrs.map(({ name, value }) => [name, value])))
        if (tagName === 'base') found.baseHref ??= attrs.find(({ name }) => name === 'href')?.value
      },
      onEndTag: nothing,
      onComment: nothing,
      onDoctype: nothing,
      onEof: nothing,
      onCharacter: nothing,
      onNullCharacter: nothing,
      onWhitespaceCharacter: nothing,
    },
  )
  tokenizer.write(text, true)
  return found
}
