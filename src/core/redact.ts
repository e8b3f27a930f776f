/** Returns a URL for messages and logs, without user, password and query values. Text that is not a URL is only cut to 300 characters. */
export function redactUrl(url: string | URL): string {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    return String(url).slice(0, 300)
  }
  if (parsed.username || parsed.password) {
    parsed.username = ''
    parsed.password = ''
  }
  const query = [...parsed.searchParams.keys()].map(key => `${key}=…`).join('&')
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}${query ? `?${query}` : ''}`
}
