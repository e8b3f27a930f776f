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
