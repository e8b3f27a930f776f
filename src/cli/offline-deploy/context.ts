import { AirgapError } from '../../core/errors.ts'
import type { DeployContext } from '../../deploy/context.ts'
import type { Shell } from '../shell/run.ts'
import { askHidden } from '../shell/terminal.ts'

/** What the use cases of deploy/ get from this program. */
export function deployContext(shell: Shell): DeployContext {
  return {
    progress: shell.progress(),
    signal: shell.signal,
    now: () => new Date(),
    environment: process.env,
    askSecret: process.stdin.isTTY ? question => askHidden(question, shell.signal) : undefined,
    self: selfCommand(),
  }
}

/** Runs this program again whatever the current folder and the environment are. */
function selfCommand(): string[] {
  const script = process.argv[1]
  if (script === undefined)
    throw new AirgapError('INTERNAL', 'this program does not know its own file', { item: process.execPath })
  return [process.execPath, ...process.execArgv, script]
}
