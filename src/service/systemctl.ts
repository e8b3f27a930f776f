import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { AirgapError, errnoOf } from '../core/errors.ts'

/** Throws TOOL_MISSING where systemd does not run this machine (sd_booted(3)), PERMISSION without root. */
export function requireSystemd(): void {
  if (!existsSync('/run/systemd/system'))
    throw new AirgapError('TOOL_MISSING', 'systemd does not run this machine', {
      item: 'systemctl',
      likely: 'a container, or another init system',
      next: 'start the servers with `offline-deploy apply` or `offline-deploy serve` instead',
    })
  if (process.getuid?.() !== 0)
    throw new AirgapError('PERMISSION', 'only root can change the units of this machine', {
      next: 'run the same command as root',
    })
}

/** Runs a program of systemd and returns its output. Throws STEP_FAILED with what it printed, TOOL_MISSING. */
export async function runSystemd(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  return await new Promise((resolve, reject) => {
    execFile(program, [...args], { signal }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      if (signal.aborted) return reject(signal.reason)
      if (errnoOf(error) === 'ENOENT')
        return reject(
          new AirgapError('TOOL_MISSING', `the program ${program} is missing`, {
            item: program,
            next: 'install systemd',
          }),
        )
      reject(
        new AirgapError('STEP_FAILED', `${program} ${args.join(' ')} failed`, {
          item: stderr.trim().split('\n').slice(0, 3).join(' ') || `exit code ${error.code}`,
          next: `read the journal: journalctl -u ${args.at(-1)}`,
          cause: error,
        }),
      )
    })
  })
}

/** Returns whether the unit runs: `active`, `inactive`, `failed`, `activating`; `unknown` where systemctl does not answer. */
export async function unitState(unit: string, signal: AbortSignal): Promise<string> {
  return await new Promise(resolve => {
    execFile('systemctl', ['is-active', unit], { signal }, (_, stdout) => resolve(stdout.trim() || 'unknown'))
  })
}

/** Returns the id of the unit's main process; undefined where it has none, or systemctl does not answer. */
export async function mainProcess(unit: string, signal: AbortSignal): Promise<number | undefined> {
  return await new Promise(resolve => {
    execFile('systemctl', ['show', '--value', '-p', 'MainPID', unit], { signal }, (_, stdout) =>
      resolve(Number(stdout) || undefined),
    )
  })
}
