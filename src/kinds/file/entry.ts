import { z } from 'zod'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import { distinctRequests } from '../../document/distinct.ts'
import { httpUrlField, sha256Field, textField } from '../../document/fields.ts'
import type { Mistakes } from '../../document/mistakes.ts'
import { publicUrl } from '../../document/urls.ts'
import { manifestEntry } from '../entry.ts'

export interface FileRequest {
  at: string
  url: string
  /** relative path under /files */
  path: string
  executable: boolean
  /** hex */
  sha256?: string
}

export const fileEntry = manifestEntry({
  key: 'files',
  schema: z.strictObject({
    url: httpUrlField,
    sha256: sha256Field.optional(),
    /** path under /files; default: host and path of the URL */
    path: textField.optional(),
    executable: z.boolean().optional(),
  }),
  starter: `\
# files:                                      # served under /files/PATH
#   - url: https://dl.k8s.io/release/v1.28.6/bin/linux/amd64/kubectl
#     sha256: c8351fe0611119fd36634dd3f53eb94ec1a2d43ef9e78b92b4846df5cc7aa7e3
#     path: bin/kubectl                       # default: host and path of the URL
#     executable: true
`,
  load(entries, { at, mistakes }) {
    const requests: FileRequest[] = []
    for (const [i, { url, sha256, path, executable = false }] of entries.entries()) {
      mistakes.attempt(() => {
        const written = at(i, 'url')
        const parsed = publicUrl(url, written)
        requests.push({
          at: at(i),
          url,
          path: path === undefined ? pathOfUrl(parsed, written) : writtenPath(path, at(i, 'path')),
          executable,
          ...defined({ sha256 }),
        })
      })
    }
    const files = distinctRequests(requests, { nameOf: file => file.path, mistakes })
    refuseFileInFolder(files, mistakes)
    return files
  },
})

function writtenPath(path: string, at: string): string {
  try {
    return safeRelativePath(path, 'MANIFEST_INVALID')
  } catch (error) {
    throw new AirgapError(
      'MANIFEST_INVALID',
      'the path is invalid: it must be relative and must not contain ..',
      {
        item: `${at}: ${JSON.stringify(path.slice(0, 200))}`,
        next: 'write it as folder/name, without .. and without a slash at either end',
        cause: error,
      },
    )
  }
}

/** Host and path of the URL, percent-escapes decoded, no query: what clients of a site request under /files (fault 60). */
function pathOfUrl(url: URL, at: string): string {
  const refuse = (what: string, cause?: unknown) =>
    new AirgapError('MANIFEST_INVALID', what, {
      item: `${at}: ${url.host}${url.pathname.slice(0, 200)}`,
      next: 'give the file a name with `path:`',
      cause,
    })
  if (url.pathname.endsWith('/')) throw refuse('the URL ends without a file name')
  try {
    return safeRelativePath(`${url.hostname}${decodeURIComponent(url.pathname)}`, 'MANIFEST_INVALID')
  } catch (error) {
    throw refuse('the URL cannot be turned into a file name', error)
  }
}

/** A path cannot be a file and the folder of another file. */
function refuseFileInFolder(files: readonly FileRequest[], mistakes: Mistakes): void {
  const places = new Map(files.map(file => [file.path, file.at]))
  for (const { at, path } of files) {
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const above = parts.slice(0, depth).join('/')
      const place = places.get(above)
      if (place === undefined) continue
      mistakes.add(
        new AirgapError('NAME_COLLISION', `${above} would be both a file and a folder`, {
          item: `${place} and ${at}`,
          next: 'give one of them another path',
        }),
      )
    }
  }
}
