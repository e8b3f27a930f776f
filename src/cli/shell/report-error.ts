import { CommanderError } from 'commander'
import { AirgapError, fromSystemError } from '../../core/errors.ts'

/** Converts anything that was thrown into the AirgapError that is reported to the operator. `program` is what was run. */
export function toReported(error: unknown, program: string): AirgapError {
  const known = fromSystemError(error, program)
  if (known instanceof AirgapError) return known
  if (error instanceof CommanderError) {
    return new AirgapError('USAGE', error.message.replace(/^error: /, '').replace('\n', ' '), {
      next: `see ${program} --help`,
    })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new AirgapError('INTERNAL', message || 'an error without a message', {
    likely: 'a bug in this tool',
    next: 'run the command again with --verbose and report its output',
    cause: error,
  })
}
