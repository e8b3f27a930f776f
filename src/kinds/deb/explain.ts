import { AirgapError } from '../../core/errors.ts'
import type { Candidate } from './candidate.ts'

/** Why a package cannot be installed: a chain that branches at each alternative. */
export interface Failure {
  package: Candidate
  /** the unsatisfied dependency, as the package writes it; absent where the package itself conflicts */
  wants?: string
  /** for each alternative, why it failed */
  lacks: (string | Failure)[]
  /** selected packages that it conflicts with: without them it might be installable */
  culprits?: Set<Candidate>
}

const maxLines = 2_000
const shownFirst = 25
const shownLast = 15

/** The error that shows the whole chain, one line per package, indented by depth. */
export function explain(failure: Failure, at: string): AirgapError {
  // taken lazily: the tree shares its branches, so written out in full it can be exponential
  const lines: string[] = []
  for (const line of chainLines(failure, 0)) if (lines.push(line) === maxLines) break
  const skipped = lines.length - shownFirst - shownLast
  if (skipped > 1) lines.splice(shownFirst, skipped, `  … ${skipped} lines left out …`)
  const root = failure.package
  return new AirgapError('UNRESOLVABLE', [`${root.name} ${root.version} cannot be installed:`, ...lines], {
    item: at,
    likely: failure.culprits
      ? 'two required packages conflict with each other'
      : 'a dependency is in a component or suite that the entry does not list',
    next: failure.culprits
      ? 'request the one you want by name, or split the packages into two entries'
      : 'add the component (components: in the manifest), or leave the package out',
  })
}

function* chainLines(failure: Failure, depth: number): Generator<string> {
  const indent = (level: number) => '  '.repeat(Math.min(level, 20) + 1)
  const { wants } = failure
  if (wants !== undefined) yield `${indent(depth)}${failure.package.name} needs ${wants}`
  const inner = wants === undefined ? depth : depth + 1
  for (const lack of failure.lacks) {
    if (typeof lack !== 'string') yield* chainLines(lack, inner)
    else yield `${indent(inner)}${wants === undefined ? `${failure.package.name}: ` : ''}${lack}`
  }
}
