import { AirgapError } from '../../core/errors.ts'

/** What the manifest requests of a repository. */
export type RequestedRef =
  | { type: 'commit'; commit: string }
  /** as written: a branch or a tag by its short or full name, or `HEAD`, the default branch */
  | { type: 'name'; name: string }

/** Throws MANIFEST_INVALID; `at` is the place where the ref was written. */
export function parseRef(text: string, at: string): RequestedRef {
  const refuse = (what: string, next: string) =>
    new AirgapError('MANIFEST_INVALID', what, {
      item: `${at}: ${JSON.stringify(text.slice(0, 200))}`,
      next,
    })
  if (/^[0-9a-f]{40}$/.test(text)) return { type: 'commit', commit: text }
  if (/^[0-9a-f]{64}$/.test(text))
    throw refuse('commits of SHA-256 repositories are not supported', 'name a repository that uses SHA-1')
  if (!isRefName(text))
    throw refuse(
      'the text is not the name of a branch or tag, and not a commit',
      'write a branch, a tag, or all 40 digits of a commit',
    )
  return { type: 'name', name: text }
}

/**
 * git-check-ref-format(1). Such a name is safe in a refspec (no `:`, `*`, `^`), in revision syntax (no `@{`, `~`, `..`), as a path (no
 * `..`, no part that begins with a dot) and as an argument (no dash at the start).
 */
export function isRefName(name: string): boolean {
  return (
    name.length <= 250 &&
    !/[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|^[-/@]|\/$|\.$/.test(name) &&
    name.split('/').every(part => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'))
  )
}
