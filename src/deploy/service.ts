import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import { acquireProcessLock } from '../core/process-lock.ts'
import { requireSystemd, runSystemd, unitState } from '../service/systemctl.ts'
import { serviceFolder, type UnitFile, unitFiles } from '../service/units.ts'
import { readSiteConfig, writeSiteConfig } from '../site/config.ts'
import { openState, pathsOf } from '../site/state.ts'
import { addToBundleRecord } from './bundle-record.ts'
import { refuseChangedConfig } from './changed-config.ts'
import { openBundles } from './open-bundles.ts'
import { readServiceRecord } from './service-record.ts'
import { startService } from './service-start.ts'
import { installedFiles, programOf, refuseUnreadable, textOf, unitsOf } from './service-units.ts'
import { existingSite, findSite, refuseAnyPort, setUp } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

export const defaultServiceName = 'astrago-site'

export interface ServiceOptions extends SiteOptions {
  /** of the units, without suffix; of the user, and of the folder in /var/lib */
  name?: string
}

export interface ServiceRun {
  now: () => Date
  signal: AbortSignal
  /** program and arguments that start this program */
  self: readonly string[]
  dryRun: boolean
  /** Asks whether to do this. Throws where it was declined. */
  confirm(what: string): Promise<void>
}

export interface ServiceChange {
  site: string
  name: string
  /** paths of files that were written or removed, or would be */
  files: string[]
  /** false: a dry run */
  done: boolean
}

/** What runs a site's servers, and the text of its units. */
export interface ServiceView {
  site: string
  name: string
  installed: boolean
  /** of the service and the socket, as systemctl reports it; null where they are not installed */
  state: { service: string; socket: string } | null
  /** state folder of the servers */
  folder: string
  units: (UnitFile & { written: boolean })[]
}

/**
 * Writes the units, creates the user of the servers, and starts them; servers that run in the background are stopped before. Throws
 * what `openBundles` throws, TOOL_MISSING and PERMISSION (no systemd, not root), USAGE (the name belongs to another site), BUSY.
 */
export async function installService(options: ServiceOptions, run: ServiceRun): Promise<ServiceChange> {
  if (!run.dryRun) requireSystemd()
  const { saved } = await findSite(options)
  const setup = await setUp(options)
  refuseAnyPort(setup.config)
  await using opened = await openBundles(setup.config.bundles, {
    ...setup,
    unknown: 'opened',
    now: run.now(),
  })
  const { bundles } = opened
  const name = await nameOf(options, setup.siteFolder)
  const files = unitFiles(unitsOf(setup, { name, self: run.self }))
  await refuseOtherSite(files, setup.siteFolder)
  await refuseUnreadable([...setup.config.bundles, ...programOf(run.self)], setup.siteFolder)
  const change = { site: setup.siteFolder, name, files: files.map(({ path }) => path) }
  if (run.dryRun) return { ...change, done: false }
  await run.confirm(
    `write ${change.files.join(', ')}, and have systemd run the servers of ${setup.siteFolder}`,
  )
  const state = await openState(setup.siteFolder)
  await using _lock = await acquireProcessLock(state.paths.lock, setup.siteFolder)
  refuseChangedConfig(setup.siteFolder, { before: saved, now: await readSiteConfig(state.paths.config) })
  await writeSiteConfig(state.paths.config, setup.config)
  await addToBundleRecord(
    state.paths.bundles,
    bundles.map(({ identity }) => identity),
  )
  const digests = bundles.map(({ identity }) => identity.digest)
  await startService({ setup, digests, name }, run)
  return { ...change, done: true }
}

/** Stops the service and removes its units; the servers' folder and user stay, as what was pushed is in there. Throws FILE_NOT_FOUND where none is installed. */
export async function removeService(options: SiteOptions, run: ServiceRun): Promise<ServiceChange> {
  const { siteFolder, state } = await existingSite(options)
  const record = await readServiceRecord(state.paths.service)
  if (record === undefined) throw notInstalled(siteFolder)
  const { name } = record
  const files = installedFiles(name)
  const change = { site: siteFolder, name, files }
  if (run.dryRun) return { ...change, done: false }
  requireSystemd()
  await run.confirm(`stop ${name}.service and remove ${files.join(', ')}`)
  await using _lock = await acquireProcessLock(state.paths.lock, siteFolder)
  const units = [`${name}.socket`, `${name}.service`]
  await runSystemd('systemctl', ['disable', '--quiet', '--now', ...units], run.signal)
  for (const path of files) await rm(path, { force: true })
  await runSystemd('systemctl', ['daemon-reload'], run.signal)
  await rm(state.paths.service, { force: true })
  await rm(state.paths.serviceEnvironment, { force: true })
  return { ...change, done: true }
}

/** The units as they are, or would be, on this machine; changes nothing. */
export async function showService(
  options: ServiceOptions,
  { self, signal }: Pick<ServiceRun, 'self' | 'signal'>,
): Promise<ServiceView> {
  const setup = await setUp(options)
  refuseAnyPort(setup.config)
  const name = await nameOf(options, setup.siteFolder)
  const record = await readServiceRecord(pathsOf(setup.siteFolder).service)
  const files = unitFiles(unitsOf(setup, { name, self }))
  return {
    site: setup.siteFolder,
    name,
    installed: record !== undefined,
    state:
      record === undefined
        ? null
        : {
            service: await unitState(`${name}.service`, signal),
            socket: await unitState(`${name}.socket`, signal),
          },
    folder: serviceFolder(name),
    units: await Promise.all(
      files.map(async file => ({ ...file, written: (await textOf(file.path)) === file.text })),
    ),
  }
}

/** Stops the sockets first: a connection would start the service again. */
export async function stopService(name: string, signal: AbortSignal): Promise<void> {
  await runSystemd('systemctl', ['stop', `${name}.socket`, `${name}.service`], signal)
}

async function nameOf({ name, ...options }: ServiceOptions, siteFolder: string): Promise<string> {
  const record = await readServiceRecord(pathsOf(siteFolder).service)
  if (record === undefined || name === undefined || name === record.name)
    return name ?? record?.name ?? defaultServiceName
  const { siteFolder: site } = await findSite(options)
  throw new AirgapError('USAGE', `the servers of this site are run by ${record.name}.service already`, {
    item: site,
    next: 'remove it first: `offline-deploy service remove`',
  })
}

async function refuseOtherSite(files: readonly UnitFile[], siteFolder: string): Promise<void> {
  const service = files.find(({ path }) => path.endsWith('.service'))?.path ?? ''
  const text = await textOf(service)
  if (text === undefined || text.includes(`EnvironmentFile=-${join(siteFolder, 'service.env')}\n`)) return
  throw new AirgapError('USAGE', 'a unit of this name belongs to another site, or to another program', {
    item: service,
    next: 'choose another name with --name',
  })
}

function notInstalled(siteFolder: string): AirgapError {
  return new AirgapError('FILE_NOT_FOUND', 'no systemd service runs the servers of this site', {
    item: siteFolder,
    next: 'install one: `offline-deploy service install`',
  })
}
