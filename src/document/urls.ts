import { AirgapError } from '../core/errors.ts'

/** Parses a URL that was written at `at`. Throws MANIFEST_INVALID. */
export function parseUrl(url: string, at: string): URL {
  try {
    return new URL(url)
  } catch (error) {
    throw new AirgapError('MANIFEST_INVALID', 'the text is not a URL', {
      item: `${at}: ${url.slice(0, 200)}`,
      next: 'write it as https://host/path',
      cause: error,
    })
  }
}

/** Throws MANIFEST_INVALID for a URL with a user or a password: the lock and the bundle carry the URL, and both travel. */
export function refuseSecrets(url: URL, at: string): void {
  if (url.username === '' && url.password === '') return
  throw new AirgapError('MANIFEST_INVALID', 'the URL contains a user name or a password', {
    item: `${at}: ${url.protocol}//…@${url.host}`,
    likely: 'the lockfile and the bundle would carry the password',
    next: 'remove it from the URL',
  })
}
