import { AirgapError } from './errors.ts'

/** The error of an open file that is shorter than it was. */
export function fileEnded(path: string, position: number): AirgapError {
  return new AirgapError('IO', `the file ends at byte ${position}, before the requested content`, {
    item: path,
    likely: 'it was truncated or replaced while it was open',
    next: 'make sure that nothing writes to it while it is in use, then run `verify` on the bundle',
  })
}
