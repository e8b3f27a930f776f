import { dirname } from 'node:path'
import type { Digest } from '../core/digest.ts'
import { lockHolder } from '../core/process-lock.ts'
import { requestControl } from '../serve/control-socket.ts'
import type { SiteConfig } from '../site/config.ts'
import type { SiteState } from '../site/state.ts'
import type { ServedSite } from './serve.ts'
import { readServiceRecord, serversPaths } from './service-record.ts'
import { copyForService } from './service-reload.ts'

/** What became of a request to reload: `signalled` where the servers have no socket, and report in their log alone. */
export type Reloaded =
  | { servers: 'reloaded'; served: ServedSite }
  | { servers: 'signalled' | 'not running'; served: null }

/** Has the running servers of a site read its configuration again. Throws what keeps them from serving it: then they serve what they did. */
export async function reloadServers(
  { control, serveLock }: SiteState['paths'],
  signal: AbortSignal,
): Promise<Reloaded> {
  const answer = await requestControl(control, { what: 'reload' }, signal)
  if (answer !== undefined) return { servers: 'reloaded', served: answer.value as ServedSite }
  const holder = await lockHolder(serveLock)
  if (holder?.place !== 'here') return { servers: 'not running', served: null }
  process.kill(holder.pid, 'SIGHUP')
  return { servers: 'signalled', served: null }
}

const longestReload = 20_000 /* ms */

/**
 * Has the running servers serve the former configuration, which is written already, after a change that failed or was cancelled: they may have
 * begun to serve the other one. Does not throw: the caller reports why the change failed.
 */
export async function serveAgain(paths: SiteState['paths']): Promise<void> {
  // not that of the command, which may be aborted by now
  const signal = AbortSignal.timeout(longestReload)
  try {
    const service = await readServiceRecord(paths.service)
    if (service === undefined) return void (await reloadServers(paths, signal))
    const { name, self } = service
    if (self !== undefined) await copyForService({ siteFolder: dirname(paths.config), name, self }, signal)
    await requestControl((await serversPaths(paths)).control, { what: 'reload' }, signal)
  } catch {
    // they serve what they did
  }
}

/** Returns by which configuration the servers run; undefined where they do not. */
export async function runningConfiguration(
  { control }: SiteState['paths'],
  signal: AbortSignal,
): Promise<SiteConfig | undefined> {
  const answer = await requestControl(control, { what: 'configuration' }, signal)
  return answer?.value as SiteConfig | undefined
}

/** Has the running servers take over that this bundle was verified; those of a systemd service get a copy of the verdicts. */
export async function refreshVerdicts(
  paths: SiteState['paths'],
  { bundle, signal }: { bundle: Digest; signal: AbortSignal },
): Promise<void> {
  const service = await readServiceRecord(paths.service)
  if (service?.self !== undefined) {
    const { name, self } = service
    await copyForService({ siteFolder: dirname(paths.config), name, self, verified: bundle }, signal)
  }
  await requestControl((await serversPaths(paths)).control, { what: 'verdicts' }, signal)
}
