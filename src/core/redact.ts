/** A URL fit for messages and logs: no user, password or query values. Text that is no URL is returned as it is, cut. */
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
