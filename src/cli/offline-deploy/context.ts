import { AirgapError } from '../../core/errors.ts'
import type { ClusterChange } from '../../deploy/change-cluster.ts'
import type { DeployContext } from '../../deploy/context.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import type { ConfirmKey } from '../../deploy/site-trust.ts'
import { canConfirm, confirm } from '../shell/confirm.ts'
import type { Shell } from '../shell/run.ts'
import { askHidden, openTerminal } from '../shell/terminal.ts'

/** What the use cases of deploy/ get from this program. */
export function deployContext(shell: Shell): DeployContext {
  return {
    progress: shell.progress(),
    signal: shell.signal,
    now: () => new Date(),
    environment: process.env,
    askSecret: process.stdin.isTTY ? question => askHidden(question, shell.signal) : undefined,
    self: selfCommand(),
    confirmKey: canConfirm() ? keyQuestion(shell) : undefined,
  }
}

/** Trust on first use: a person compares the fingerprint with one that did not come on the medium. */
function keyQuestion(shell: Shell): ConfirmKey {
  return async ({ short, words, fingerprint }, { path, identity: { name, version } }) => {
    const terminal = openTerminal(shell.signal)
    try {
      terminal.show(
        [
          `${path} (${name} ${version}) is signed with a key that this site does not know yet:`,
          `  ${short}`,
          `  ${words}`,
          `  (${fingerprint})`,
          'Call the person who built the bundle, at a number that you know, and let them read you the fingerprint or the words of their key.',
        ].join('\n'),
      )
      return /^y(es)?$/i.test(
        await terminal.ask('Are they the same? Then the site trusts this key from now on. [y/N] '),
      )
    } finally {
      terminal.close()
    }
  }
}

/** Runs this program again whatever the current folder and the environment are. */
export function selfCommand(): string[] {
  const script = process.argv[1]
  if (script === undefined)
    throw new AirgapError('INTERNAL', 'this program does not know its own file', { item: process.execPath })
  return [process.execPath, ...process.execArgv, script]
}

/** Options of a command that changes a cluster outside the steps of apply. */
export interface ChangeOptions extends SiteOptions {
  yes?: boolean
  /** the name of the environment, as the second confirmation */
  confirm?: string
  dryRun?: boolean
}

/** How a change is named in the audit log. */
interface NamedChange {
  command: string
  /** what it is about */
  subject: string
}

/** Runs what a command does, and notes it in the audit log of the site. */
export async function auditedRun<T>(
  { command, subject, options }: NamedChange & { options: SiteOptions },
  run: () => Promise<T>,
): Promise<T> {
  const { audited } = await import('../../deploy/audited.ts')
  const now = () => new Date()
  return await audited({ what: command, subject, options, environment: process.env, now }, run)
}

/** Confirms a change, runs it and prints what was done. `twice`: it cannot be undone. */
export async function runChange<Result extends object>(
  { yes = false, confirm: confirmed, dryRun = false, ...options }: ChangeOptions,
  shell: Shell,
  { change, twice, command, subject }: { change: ClusterChange<Result>; twice: boolean } & NamedChange,
): Promise<void> {
  const { changeCluster } = await import('../../deploy/change-cluster.ts')
  const run = () =>
    changeCluster(options, deployContext(shell), {
      change,
      dryRun,
      async confirm(what, { environment }) {
        const second = twice ? { environment: { name: environment, confirmed } } : {}
        await confirm({ what, yes, ...second }, shell.signal)
      },
    })
  const changed = dryRun ? await run() : await auditedRun({ command, subject, options }, run)
  if ('would' in changed) return shell.print(changed, () => `would ${changed.would}`)
  shell.print({ site: changed.site, ...changed.result }, () => `done: ${changed.done}`)
}
