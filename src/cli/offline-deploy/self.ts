import { AirgapError } from '../../core/errors.ts'

/** Program and arguments that run this program again, whatever the folder and the environment. */
export function selfCommand(): string[] {
  const script = process.argv[1]
  if (script === undefined) {
    throw new AirgapError('INTERNAL', 'this program does not know its own file', { item: process.execPath })
  }
  return [process.execPath, ...process.execArgv, script]
}
