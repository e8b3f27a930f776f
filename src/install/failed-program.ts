import { basename } from 'node:path'
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
    [`${basename(command[0] ?? '')} ended with ${status}:`, ...said.map(line => `  ${line}`)].join('\n'),
    {
      item: options.log,
      ...(options.likely === undefined ? {} : { likely: options.likely }),
      next: 'the log has all of it; correct the cause and run the same command again: it continues here',
    },
  )
}
