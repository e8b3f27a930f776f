import { AirgapError } from '../../core/errors.ts'
import { shownUrl } from './url.ts'

/** Pointer files are smaller (git-lfs docs/spec.md, "The Pointer"). */
export const maxPointer = 1024 /* bytes */

/** Whether a file is a pointer of Git LFS; its content is elsewhere and not part of the repository. */
export function isLfsPointer(content: Buffer): boolean {
  const text = content.toString('latin1')
  return (
    /^version https:\/\/(?:git-lfs\.github\.com|hawser\.github\.com)\/spec\/v1\n/.test(text) &&
    /\noid sha256:[0-9a-f]{64}\n/.test(text)
  )
}

export function lfsRefused(paths: readonly string[], { url, at }: { url: string; at: string }): AirgapError {
  const shown = paths
    .slice(0, 5)
    .map(path => JSON.stringify(path.slice(0, 200)))
    .join(', ')
  const more = paths.length > 5 ? ` and ${paths.length - 5} more` : ''
  return new AirgapError(
    'UNSUPPORTED',
    `${paths.length} files of the repository are in Git LFS, which is not carried`,
    {
      item: `${shownUrl(url)} (${at}): ${shown}${more}`,
      likely: 'the repository has only pointers to these files',
      next: 'write `lfs: pointers` where clients can do without their content, and carry the content under `files:`',
    },
  )
}
