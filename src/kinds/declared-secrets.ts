import { z } from 'zod'
import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { pathMatcher } from '../core/glob.ts'
import { textField } from '../document/fields.ts'

/** Files that look like secrets and are carried nevertheless: an element of `secrets:` of an entry. */
export interface DeclaredSecret {
  /** a path or a pattern, as in `exclude` of a tree */
  path: string
  reason: string
}

export const declaredSecretsField = z
  .array(z.strictObject({ path: textField, reason: textField }))
  .default([])

/** In the lockfile: the declared files, sorted by path. */
export const lockedSecretsSchema = z.array(
  z.strictObject({ path: z.string(), what: z.string(), reason: z.string() }),
)
type LockedSecrets = z.infer<typeof lockedSecretsSchema>

export interface FoundSecret {
  path: string
  /** what it looks like: `a private key` */
  what: string
}

const maxListed = 20

/** Returns the files with their declared reasons, sorted. Throws MANIFEST_INVALID for files that are not declared. */
export function declaredSecrets(
  found: readonly FoundSecret[],
  {
    declared,
    subject,
    item,
    shown,
    remedy,
  }: {
    declared: readonly DeclaredSecret[] | undefined
    /** `tree`, `repository` */
    subject: string
    item: string
    /** the path as a person finds the file */
    shown: (path: string) => string
    /** what to do instead of declaring them */
    remedy: string
  },
): LockedSecrets {
  const rules = (declared ?? []).map(({ path, reason }) => ({ matches: pathMatcher(path), reason }))
  const accepted: LockedSecrets = []
  const unknown: FoundSecret[] = []
  for (const file of found) {
    const rule = rules.find(({ matches }) => matches(file.path))
    if (rule === undefined) unknown.push(file)
    else accepted.push({ ...file, reason: rule.reason })
  }
  if (unknown.length === 0) return accepted.sort((a, b) => compareText(a.path, b.path))
  const lines = unknown.slice(0, maxListed).map(({ path, what }) => `  ${shown(path)}: ${what}`)
  const more = unknown.length > maxListed ? [`  … and ${unknown.length - maxListed} more`] : []
  const count =
    unknown.length === 1
      ? 'a file that looks like a secret'
      : `${unknown.length} files that look like secrets`
  throw new AirgapError('MANIFEST_INVALID', [`the ${subject} has ${count}:`, ...lines, ...more], {
    item,
    likely: 'the bundle would carry them, readable for everyone who has a copy of it',
    next: `${remedy}, or declare them in this entry: \`secrets: [{path: PATTERN, reason: TEXT}]\``,
  })
}
