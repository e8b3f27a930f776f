import { printable } from '../core/printable.ts'

/** A piece of HTML. Only `html` makes one, so that every text in a page is escaped exactly once. */
export class Html {
  readonly #text: string

  private constructor(text: string) {
    this.#text = text
  }

  static join(strings: readonly string[], values: readonly Part[]): Html {
    return new Html(strings.map((text, i) => (i === 0 ? text : `${textOf(values[i - 1])}${text}`)).join(''))
  }

  toString(): string {
    return this.#text
  }
}

type Part = Html | string | number | undefined | readonly Part[]

/**
 * Makes HTML of a template whose values are escaped: names in a bundle may contain markup (CWE-79), control characters, and characters that
 * reorder the text (CVE-2021-42574). Values stand in text or in attributes in double quotes, never in scripts, styles or addresses.
 */
export function html(strings: TemplateStringsArray, ...values: readonly Part[]): Html {
  return Html.join(strings, values)
}

function textOf(part: Part): string {
  if (part === undefined) return ''
  if (part instanceof Html) return part.toString()
  if (Array.isArray(part)) return part.map(textOf).join('')
  return escaped(String(part))
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return printable(text).replace(/[&<>"']/g, character => entities[character]!)
}

/** The start of a long list of columns: a table with a heading for each. Numbers are set right by the class `n`. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly Part[])[],
  options: { numbers?: readonly number[]; classOf?: (row: number) => string | undefined } = {},
): Html {
  const { numbers = [], classOf } = options
  const cell = (i: number) => (numbers.includes(i) ? 'n' : 't')
  return html`<table><thead><tr>${headings.map((text, i) => html`<th class="${cell(i)}" scope="col">${text}</th>`)}</tr></thead>
<tbody>${rows.map((row, at) => html`<tr class="${classOf?.(at) ?? 'row'}">${row.map((part, i) => html`<td class="${cell(i)}">${part}</td>`)}</tr>\n`)}</tbody></table>`
}
