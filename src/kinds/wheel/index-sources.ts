import { globMatcher } from '../../core/glob.ts'

/** A package index of an entry (PEP 503 or 691). */
export interface IndexSource {
  url: string
  /** globs of normalised project names: they come from this index only, and it is queried for no others; absent: any project */
  projects?: string[]
}

/**
 * Returns a function from a project to the indexes that may provide it, in order: those that it is bound to, otherwise those without
 * `projects`. Whatever another index has under a bound name is ignored (dependency confusion, CWE-427).
 */
export function indexesFor(indexes: readonly IndexSource[]): (project: string) => {
  indexes: IndexSource[]
  isBound: boolean
} {
  const matchers = indexes.map(({ projects }) => projects?.map(pattern => globMatcher(pattern)))
  return project => {
    const bound = indexes.filter((_, i) => matchers[i]?.some(matches => matches(project)))
    if (bound.length > 0) return { indexes: bound, isBound: true }
    return { indexes: indexes.filter(({ projects }) => projects === undefined), isBound: false }
  }
}
