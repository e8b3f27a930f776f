import type { Digest } from '../core/digest.ts'
import { requireSystemd, runSystemd } from '../service/systemctl.ts'
import type { SiteState } from '../site/state.ts'
import { readServiceRecord } from './service-record.ts'

/**
 * Has the servers of a systemd service take over what was changed in the state folder: they have copies. Without a service, nothing is
 * done: the servers watch the folder themselves. One that does not run takes it over when it starts. Throws TOOL_MISSING, PERMISSION, STEP_FAILED.
 */
export async function reloadService({ service }: Pick<SiteState['paths'], 'service'>): Promise<void> {
  const record = await readServiceRecord(service)
  if (record === undefined) return
  requireSystemd()
  // a user who was removed must not stay one in the copies: what fails here is an error
  await runSystemd(
    'systemctl',
    ['try-reload-or-restart', `${record.name}.service`],
    new AbortController().signal,
  )
}

/**
 * Copies settings and keys to the servers' folder, as the unit does before each start; of `verified`, a bundle, the verdicts, too. In a process of
 * its own, as that becomes the user of the servers. Throws what it ends with, as STEP_FAILED.
 */
export async function copyForService(
  { siteFolder, name, self, verified }: CopyOptions,
  signal: AbortSignal,
): Promise<void> {
  const [program = '', ...args] = self
  const words = ['service', 'sync', '--site', siteFolder, '--name', name]
  if (verified !== undefined) words.push('--verified', verified)
  await runSystemd(program, [...args, ...words], signal)
}

interface CopyOptions {
  siteFolder: string
  /** of the units, without suffix */
  name: string
  /** program and arguments that start this program */
  self: readonly string[]
  verified?: Digest
}
