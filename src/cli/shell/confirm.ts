import { AirgapError } from '../../core/errors.ts'
import { openTerminal } from './terminal.ts'

/** Whether a person can answer: if stderr is redirected, nobody sees the question. */
export function canConfirm(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY
}

export interface Confirmation {
  /** what the command is about to do: `remove … from the cluster` */
  what: string
  /** --yes */
  yes: boolean
  /** irreversible: also requires the name of the environment; `confirmed` is the value of --confirm */
  environment?: { name: string; confirmed: string | undefined }
}

/** Asks on the terminal for what the options do not confirm; without a terminal, requires the options. Throws USAGE. */
export async function confirm({ what, yes, environment }: Confirmation, signal: AbortSignal): Promise<void> {
  const named = environment === undefined || environment.confirmed === environment.name
  if (yes && named) return
  const flags = environment === undefined ? '--yes' : `--yes --confirm ${environment.name}`
  if (!canConfirm()) {
    throw new AirgapError('USAGE', `this would ${what}`, {
      item: flags,
      likely: 'there is no terminal to ask for confirmation',
      next: `pass ${flags}; nothing was changed`,
    })
  }
  const terminal = openTerminal(signal)
  try {
    if (!yes && !/^y(es)?$/i.test(await terminal.ask(`This will ${what}. Continue? [y/N] `)))
      throw declined(flags)
    if (named) return
    const answer = await terminal.ask(`Type the name of the environment (${environment.name}) to confirm: `)
    if (answer !== environment.name) throw declined(flags)
  } finally {
    terminal.close()
  }
}

function declined(flags: string): AirgapError {
  return new AirgapError('USAGE', 'it was not confirmed; nothing was changed', {
    next: `run the same command again and confirm it, or pass ${flags}`,
  })
}
