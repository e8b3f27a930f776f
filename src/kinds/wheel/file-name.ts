import { withoutTrailing } from '../../core/trim.ts'
/** Names of distributions in links. */

/** Whether a name can be that of a distribution; none of them is a path. */
export function isFileName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}$/.test(name)
}

/** The last part of the path, decoded twice as pip does it: some servers encode `+` twice. */
export function fileNameOf(url: URL): string {
  const path = withoutTrailing(percentDecoded(url.pathname), '/')
  return percentDecoded(path.slice(path.lastIndexOf('/') + 1))
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
