import { AirgapError } from '../core/errors.ts'

/** One error is itself; several are told in one, with the worst exit code first. */
export function together(failures: unknown[], of: number): unknown {
  if (failures.length === 1) return failures[0]
  const known = failures.filter(failure => failure instanceof AirgapError)
  const bug = failures.find(failure => !(failure instanceof AirgapError))
  if (bug !== undefined) return bug
  const lines = known.map(failure =>
    [
      `${failure.code}: ${failure.message}`,
      failure.item,
      failure.likely && `likely: ${failure.likely}`,
      failure.next && `next: ${failure.next}`,
    ]
      .filter(Boolean)
      .join('\n    '),
  )
  return new AirgapError(
    known[0]!.code,
    `${failures.length} of ${of} items failed:\n  ${lines.join('\n  ')}`,
    {
      next: 'mend them and run the same command again; what is already there is not fetched again',
      cause: known[0],
    },
  )
}
