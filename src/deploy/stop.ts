import { AirgapError } from '../core/errors.ts'
import { lockHolder } from '../core/process-lock.ts'
import { stopHolder } from '../install/background.ts'
import { existingSite } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

export interface Stopped {
  site: string
  result: 'stopped' | 'running' | 'not running'
  /** process id of the servers; null where they did not run */
  process: number | null
}

/** Stops the servers of a site; with `dryRun` only reports whether they run. Throws BUSY while the site is being changed. */
export async function stopServers(
  options: SiteOptions,
  { dryRun, signal }: { dryRun: boolean; signal: AbortSignal },
): Promise<Stopped> {
  const { siteFolder: site, state } = await existingSite(options)
  const running = await lockHolder(state.paths.serveLock)
  const holder = await lockHolder(state.paths.lock)
  if (holder !== undefined && !dryRun)
    throw new AirgapError('BUSY', 'the site is being changed: machines may be fetching from its servers', {
      item: holder.place === 'here' ? `process ${holder.pid}` : `process ${holder.pid} on ${holder.host}`,
      likely: '`apply` runs in another terminal',
      next: 'wait for it to end, or stop it there with Ctrl-C',
    })
  if (running === undefined) return { site, result: 'not running', process: null }
  const result = dryRun ? 'running' : await stopHolder(state.paths.serveLock, { signal })
  return { site, result, process: running.pid }
}
