import { chmod, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { AirgapError, errnoOf } from '../core/errors.ts'
import { acquireProcessLock } from '../core/process-lock.ts'
import { stopHolder } from '../install/background.ts'
import { requireSystemd, runSystemd, unitState } from '../service/systemctl.ts'
import { isHidden, serviceFolder, type UnitFile, unitFiles } from '../service/units.ts'
import { writeSiteConfig } from '../site/config.ts'
import { openState, pathsOf } from '../site/state.ts'
import { addToBundleRecord } from './bundle-record.ts'
import { type OpenBundle, openBundles } from './open-bundles.ts'
import { moveOverlay } from './service-overlay.ts'
import { readServiceRecord, writeServiceRecord } from './service-record.ts'
import { existingSite, findSite, refuseAnyPort, type Setup, setUp } from './set-up.ts'
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
  await writeSiteConfig(state.paths.config, setup.config)
  await addToBundleRecord(
    state.paths.bundles,
    bundles.map(({ identity }) => identity),
  )
  await writeServiceRecord(state.paths.service, { name })
  await startService({ setup, bundles, name }, run)
  return { ...change, done: true }
}

/** Writes the units again if they have changed, and starts the service again: its sockets stay open. */
export async function startService(
  { setup, bundles, name }: { setup: Setup; bundles: readonly OpenBundle[]; name: string },
  { self, signal }: Pick<ServiceRun, 'self' | 'signal'>,
): Promise<void> {
  const { paths } = await openState(setup.siteFolder)
  const digests = bundles.map(({ identity }) => identity.digest)
  await writeAtomically(paths.serviceEnvironment, `OFFLINE_DEPLOY_EXPECT=${digests.join(',')}\n`, 0o600)
  // of the copies in the state folder, which nobody else can reach there
  for (const path of setup.config.bundles)
    if (path.startsWith(`${setup.siteFolder}/`)) await chmod(path, 0o644)
  const socket = `${name}.socket`
  let movesPorts = false
  for (const { path, text } of unitFiles(unitsOf(setup, { name, self }))) {
    const isSame = (await textOf(path)) === text
    if (!isSame && path.endsWith('.socket')) movesPorts = true
    if (isSame) continue
    await mkdir(dirname(path), { recursive: true })
    await writeAtomically(path, text, 0o644)
  }
  await runSystemd('systemd-sysusers', [`/etc/sysusers.d/${name}.conf`], signal)
  await runSystemd('systemctl', ['daemon-reload'], signal)
  await stopHolder(paths.serveLock, { signal })
  await moveOverlay({ overlay: paths.overlay, name }, signal)
  if (movesPorts) await runSystemd('systemctl', ['stop', `${name}.service`, socket], signal)
  await runSystemd('systemctl', ['enable', '--quiet', socket, `${name}.service`], signal)
  await runSystemd('systemctl', ['start', socket], signal)
  await runSystemd('systemctl', ['reset-failed', `${name}.service`], signal).catch(() => {})
  await runSystemd('systemctl', ['restart', `${name}.service`], signal)
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

function unitsOf(
  { config, siteFolder }: Setup,
  { name, self }: { name: string; self: readonly string[] },
): Parameters<typeof unitFiles>[0] {
  return {
    name,
    site: siteFolder,
    self,
    reads: [...config.bundles, ...programOf(self)],
    listen: config.listen,
    ports: { registry: config.registryPort, http: config.httpPort },
  }
}

/** The folders with the runtime and the program: the bundle's is one folder with both. */
function programOf(self: readonly string[]): string[] {
  return [...new Set([self[0] ?? '', self.at(-1) ?? ''].map(path => dirname(path)))]
}

function installedFiles(name: string): string[] {
  return [
    `/etc/systemd/system/${name}.socket`,
    `/etc/systemd/system/${name}.service`,
    `/etc/sysusers.d/${name}.conf`,
  ]
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

/** The user of the servers has to be able to read the bundle: on a medium, its mount options decide that. */
async function refuseUnreadable(paths: readonly string[], siteFolder: string): Promise<void> {
  for (const path of paths) {
    // of a bundle that is copied there, the mode is set
    if (path.startsWith(`${siteFolder}/bundles/`)) continue
    const stats = await stat(path)
    if ((stats.mode & 0o004) === 0 || (stats.isDirectory() && (stats.mode & 0o001) === 0))
      throw unreadable(path)
    if (isHidden(path, siteFolder)) continue
    for (let above = dirname(path); above !== '/'; above = dirname(above))
      if (((await stat(above)).mode & 0o001) === 0) throw unreadable(above)
  }
}

function unreadable(item: string): AirgapError {
  return new AirgapError('PERMISSION', 'the user of the servers cannot read this', {
    item,
    likely: 'the medium was mounted for root alone, or the file was copied with mode 0600',
    next: 'mount the medium with `-o umask=022`, or run `chmod o+rX` on it; `offline-deploy apply --copy-bundle` copies the bundle',
  })
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function notInstalled(siteFolder: string): AirgapError {
  return new AirgapError('FILE_NOT_FOUND', 'no systemd service runs the servers of this site', {
    item: siteFolder,
    next: 'install one: `offline-deploy service install`',
  })
}
