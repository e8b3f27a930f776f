import { stopHolder } from '../install/background.ts'
import { requestControl } from '../serve/control-socket.ts'
import { requireSystemd, runSystemd, unitState } from '../service/systemctl.ts'
import { serviceFolder } from '../service/units.ts'
import { openState, pathsOf } from '../site/state.ts'
import type { ServedSite } from './serve.ts'
import { moveOverlay } from './service-overlay.ts'
import { writeServiceRecord } from './service-record.ts'
import { copyForService } from './service-reload.ts'
import { programOf, refuseUnreadable, type ServiceSite, writeUnits } from './service-units.ts'

export interface StartRun {
  /** program and arguments that start the program of the units */
  self: readonly string[]
  signal: AbortSignal
}

/** What became of a service whose site was configured otherwise. */
export type UpdatedService =
  | { servers: 'reloaded'; served: ServedSite }
  | { servers: 'restarted' | 'not running'; served: null }

/** Writes the units again if they have changed, and starts the service again: its sockets stay open. */
export async function startService(site: ServiceSite, { self, signal }: StartRun): Promise<void> {
  const { setup, name } = site
  const { paths } = await openState(setup.siteFolder)
  await writeServiceRecord(paths.service, { name, self: [...self] })
  const { movesPorts } = await writeUnits(site, self)
  await runSystemd('systemd-sysusers', [`/etc/sysusers.d/${name}.conf`], signal)
  await runSystemd('systemctl', ['daemon-reload'], signal)
  await stopHolder(paths.serveLock, { signal })
  await moveOverlay({ overlay: paths.overlay, name }, signal)
  await restart({ name, movesPorts }, signal)
}

/**
 * Has the service work by the configuration of its site, which is written already: its units follow, and a running one serves by it when this
 * returns. It is started again, which connections wait for, only where it could not see a bundle otherwise. Throws what keeps the servers from
 * serving (then they serve what they did), PERMISSION where their user cannot read a bundle, STEP_FAILED where they do not start.
 */
export async function updateService(site: ServiceSite, { self, signal }: StartRun): Promise<UpdatedService> {
  const { setup, name } = site
  const { siteFolder, config } = setup
  requireSystemd()
  await refuseUnreadable([...config.bundles, ...programOf(self)], siteFolder)
  const units = await writeUnits(site, self)
  if (units.changed.length > 0) await runSystemd('systemctl', ['daemon-reload'], signal)
  const state = await unitState(`${name}.service`, signal)
  // a connection starts it
  if (state === 'inactive' && !units.movesPorts) return { servers: 'not running', served: null }
  const restarted = async (): Promise<UpdatedService> => {
    await restart({ name, ...units }, signal)
    return { servers: 'restarted', served: null }
  }
  if (units.restart || units.movesPorts || !['active', 'reloading'].includes(state)) return await restarted()
  await copyForService({ siteFolder, name, self }, signal)
  const answer = await requestControl(pathsOf(serviceFolder(name)).control, { what: 'reload' }, signal)
  if (answer !== undefined) return { servers: 'reloaded', served: answer.value as ServedSite }
  return await restarted()
}

/** The sockets stay open, and connections wait, unless they move. */
async function restart(
  { name, movesPorts }: { name: string; movesPorts: boolean },
  signal: AbortSignal,
): Promise<void> {
  const [service, socket] = [`${name}.service`, `${name}.socket`]
  if (movesPorts) await runSystemd('systemctl', ['stop', service, socket], signal)
  await runSystemd('systemctl', ['enable', '--quiet', socket, service], signal)
  await runSystemd('systemctl', ['start', socket], signal)
  await runSystemd('systemctl', ['reset-failed', service], signal).catch(() => {})
  await runSystemd('systemctl', ['restart', service], signal)
}
