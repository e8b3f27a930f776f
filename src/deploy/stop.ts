import { AirgapError } from '../core/errors.ts'
import { lockHolder } from '../core/process-lock.ts'
import { stopHolder } from '../install/background.ts'
import { unitState } from '../service/systemctl.ts'
import { stopService } from './service.ts'
import { readServiceRecord } from './service-record.ts'
import { existingSite } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

export interface Stopped {
  site: string
  result: 'stopped' | 'running' | 'not running'
  /** process id of the servers; null where they did not run, or systemd runs them */
  process: number | null
  /** the systemd unit that runs them; null: none */
  unit: string | null
}

/** Stops the servers of a site; with `dryRun` only reports whether they run. Throws BUSY while the site is being changed. */
export async function stopServers(
  options: SiteOptions,
  { dryRun, signal }: { dryRun: boolean; signal: AbortSignal },
): Promise<Stopped> {
  const { siteFolder: site, state } = await existingSite(options)
  const service = await readServiceRecord(state.paths.service)
  const running = await lockHolder(state.paths.serveLock)
  const holder = await lockHolder(state.paths.lock)
  if (holder !== undefined && !dryRun)
    throw new AirgapError('BUSY', 'the site is being changed: machines may be fetching from its servers', {
      item: holder.place === 'here' ? `process ${holder.pid}` : `process ${holder.pid} on ${holder.host}`,
      likely: '`apply` runs in another terminal',
      next: 'wait for it to end, or stop it there with Ctrl-C',
    })
  if (service !== undefined) return await stopUnits({ site, name: service.name }, { dryRun, signal })
  if (running === undefined) return { site, result: 'not running', process: null, unit: null }
  const result = dryRun ? 'running' : await stopHolder(state.paths.serveLock, { signal })
  return { site, result, process: running.pid, unit: null }
}

async function stopUnits(
  { site, name }: { site: string; name: string },
  { dryRun, signal }: { dryRun: boolean; signal: AbortSignal },
): Promise<Stopped> {
  const unit = `${name}.service`
  const isRunning = ['active', 'activating', 'reloading'].includes(await unitState(unit, signal))
  if (!dryRun) await stopService(name, signal)
  if (!isRunning) return { site, result: 'not running', process: null, unit }
  return { site, result: dryRun ? 'running' : 'stopped', process: null, unit }
}
