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
  if (parsed.username || parsed.password) {
    parsed.username = ''
    parsed.password = ''
  }
  const query = [...parsed.searchParams.keys()].map(key => `${key}=…`).join('&')
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}${query ? `?${query}` : ''}`
}

/**
 * Text that a person wrote, fit for messages: users, passwords and query values of the URLs in it are masked, even where no
 * parser takes the URL (`https://me:pa/ss word@host`). A digest behind an image (`name:tag@sha256:…`) stays.
 */
export function redactText(text: string): string {
  return text
    .replace(/:\/\/[^\s"'<>]*@/g, '://…@')
    .replace(/(^|[\s=,"'])[^\s/@:="',]+:(?!\/\/)[^\s@"',]*@(?!sha256:)/g, '$1…@')
    .replace(/(:\/\/[^\s"'<>?]*\?)[^\s"'<>]+/g, '$1…')
}
