import { AirgapError } from '../core/errors.ts'

/**
 * Returns one error as it is, and combines several into one with the code of the worst: a wrong digest or signature before all else
 * (no flag continues past it), then a bug, then the machine, the manifest, what cannot be resolved, the network. `of` is the number of
 * items that were tried.
 */
export function together(failures: unknown[], of: number): unknown {
  if (failures.length === 1) return failures[0]
  const known = failures.filter(failure => failure instanceof AirgapError)
  // stable: in the order in which they were requested
  const [worst] = [...known].sort((a, b) => rank(a) - rank(b))
  const bug = failures.find(failure => !(failure instanceof AirgapError))
  if (bug !== undefined && worst?.exitCode !== 6) return bug
  const lines = known.flatMap(failure => {
    const [first = '', ...more] = failure.lines
    const details = [
      ...more,
      failure.item,
      failure.likely && `likely: ${failure.likely}`,
      failure.next && `next: ${failure.next}`,
    ]
    return [`  ${failure.code}: ${first}`, ...details.filter(Boolean).map(line => `    ${line}`)]
  })
  return new AirgapError(worst!.code, [`${failures.length} of ${of} items failed:`, ...lines], {
    next: 'fix them and run the same command again; content that is already there is not fetched again',
    cause: worst,
  })
}

/** Exit codes, the worst first; any other comes last. */
const worstFirst = [6, 7, 2, 4, 5]

function rank(error: AirgapError): number {
  const place = worstFirst.indexOf(error.exitCode)
  return place < 0 ? worstFirst.length : place
}
