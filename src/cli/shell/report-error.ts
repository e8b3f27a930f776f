import { CommanderError } from 'commander'
import { AirgapError, fromSystemError } from '../../core/errors.ts'

/** Converts anything thrown into the AirgapError to report. `program` is the program, with the command if known. */
export function toReported(error: unknown, program: string): AirgapError {
  const known = fromSystemError(error, program)
  if (known instanceof AirgapError) return known
  if (error instanceof CommanderError) {
    return new AirgapError('USAGE', error.message.replace(/^error: /, '').replace('\n', ' '), {
      next: `run ${program} --help`,
    })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new AirgapError('INTERNAL', message || 'an error without a message was thrown', {
    likely: 'this is a bug in the tool',
    next: 'run the command again with --verbose and report its output',
    cause: error,
  })
}
