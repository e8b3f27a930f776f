import { basename } from 'node:path'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import type { ProgramEnd } from './program.ts'

/** Returns the error for a failed program, with the end of its output. */
export function failedProgram(
  command: readonly string[],
  { status, tail }: ProgramEnd,
  options: { log: string; said?: readonly string[]; likely?: string },
): AirgapError {
  const said = options.said ?? tail.filter(line => line.trim() !== '').slice(-8)
  return new AirgapError(
    'STEP_FAILED',
    [`${basename(command[0] ?? '')} failed with ${status}:`, ...said.map(line => `  ${line}`)],
    defined({
      item: options.log,
      likely: options.likely,
      next: 'see the log for all of its output; correct the cause and run the same command again, which continues here',
    }),
  )
}
