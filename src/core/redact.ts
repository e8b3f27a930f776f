import { hasSecretQuery, withoutSecretParameters } from './secret-queries.ts'

/**
 * Returns a URL for messages and logs, without user, password and query values. Text that is not a URL is returned without what
 * looks like a user and a password, cut to 300 characters.
 */
export function redactUrl(url: string | URL): string {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    return redactText(String(url)).slice(0, 300)
  }
  // `me:password@host` parses as a URL with the scheme `me:`
  if (parsed.host === '') return redactText(String(url)).slice(0, 300)
  if (parsed.username || parsed.password) {
    parsed.username = ''
    parsed.password = ''
  }
  const query = [...parsed.searchParams.keys()].map(key => `${key}=…`).join('&')
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}${query ? `?${query}` : ''}`
}

/**
 * Text that a person wrote, fit for messages: users, passwords and query values of the URLs in it are masked, even where no
 * parser takes the URL (`https://me:pa/ss word@host`). Where that is unclear, too much is masked: everything up to the last `@`
 * of the line. A digest behind an image (`name:tag@sha256:…`) stays.
 */
export function redactText(text: string): string {
  return text
    .split('\n')
    .map(line => withoutQuery(withoutLogin(line)))
    .join('\n')
}

/** Precedes the user in `https://user:…@`, `//user:…@`, and `user:…@` as registries and scp write it. */
const beforeUser = /:\/\/|(?:^|[\s=,"'])(?:\/\/|(?=[^\s/@:="',]+:(?!\/\/)))/

function withoutLogin(line: string): string {
  const match = beforeUser.exec(line)
  if (match === null) return line
  const start = match.index + match[0].length
  let end = line.lastIndexOf('@')
  while (end > start && line.startsWith('sha256:', end + 1)) end = line.lastIndexOf('@', end - 1)
  return end > start ? `${line.slice(0, start)}…${line.slice(end)}` : line
}

function withoutQuery(line: string): string {
  // from the last :// before the query: from each of them to the end of the line would take quadratic time (CWE-407)
  return withoutSecretParameters(line.replace(/(:\/\/(?:(?!:\/\/)[^\s<>?])*\?)[^\s<>]+/g, '$1…'))
}

/** Whether a text contains a URL that is a secret as a whole: with a password, a signed query, or the address of a chat's webhook. */
export function hasSecretUrl(text: string): boolean {
  return (
    /:\/\/[^/\s"'@]*@/.test(text) ||
    /[?&][\w.-]*(?:sig|signature|token|key|password|code|secret)=/i.test(text) ||
    hasSecretQuery(text) ||
    /hooks\.slack\.com\/|discord(?:app)?\.com\/api\/webhooks\/|\.webhook\.office\.com\//i.test(text)
  )
}
