import { createHash } from 'node:crypto'
import { type Html, html } from './html.ts'

/** A whole page. Style and script are texts of this program, never of a bundle: they are not escaped. */
export interface Page {
  /** BCP 47: `en` */
  lang: string
  title: string
  style: string
  script?: string
  /** more elements of the head */
  head?: Html
  body: Html
  /** attributes of the body element */
  bodyAttributes?: Html
}

export function pageText({ lang, title, style, script, head, body, bodyAttributes }: Page): string {
  const start = html`<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
${head}`
  const attributes = bodyAttributes === undefined ? '' : ` ${bodyAttributes}`
  const end = script === undefined ? '' : `<script>${script}</script>\n`
  return `<!doctype html>\n<html lang="${lang}">\n<head>\n<meta charset="utf-8">\n${start}\n<style>${style}</style>\n</head>\n<body${attributes}>\n${body}\n${end}</body>\n</html>\n`
}

/**
 * Returns the Content-Security-Policy of a page: nothing is loaded from elsewhere, and only its own style and script are applied, known by
 * their hashes, whatever a name in a bundle contains (CWE-79). A page with a script may send forms to, and fetch from, its own origin.
 */
export function policyOf({ style, script }: Pick<Page, 'style' | 'script'>): string {
  const own = script === undefined ? "'none'" : "'self'"
  return [
    "default-src 'none'",
    `style-src ${hashOf(style)}`,
    ...(script === undefined ? [] : [`script-src ${hashOf(script)}`, 'img-src data:', "connect-src 'self'"]),
    "base-uri 'none'",
    `form-action ${own}`,
  ].join('; ')
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
